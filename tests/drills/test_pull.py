"""A host that looks by itself, without CI: what somebody changed by hand is gone the next night."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import yaml

from tests.drills.conftest import Production
from tests.lab import Host, Lab
from tests.lab.playbook import ROOT
from tests.lab.test_backup import says

FACTS = "/etc/moorage/lab.yml"


def test_the_hosts_own_timer_puts_drift_right(production: Production, lab: Lab, site: Host, tmp_path: Path) -> None:
    repository = tmp_path / "moorage.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(ROOT), str(repository)], check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True)
    lab.engine.run("cp", str(repository), f"{site.container}:/srv/moorage.git")
    timer = {
        "drift_timer": True,
        "drift_repair": True,
        "drift_repository": "/srv/moorage.git",
        "drift_branch": commit.stdout.strip(),
        "drift_inventory": "inventories/lab",
        # What a lab knows of itself stands in no repository.
        "drift_arguments": ["-e", f"@{FACTS}"],
    }
    known = yaml.safe_load((lab.folder / "generated.yml").read_text()) | production.further | timer
    site.exec("sh", "-c", f"chown -R 0:0 /srv/moorage.git && umask 077 && cat > {FACTS}", given=yaml.safe_dump(known))
    production.converge("site", "-e", json.dumps(timer))
    try:
        assert says(site, "moorage-drift.timer", "ActiveState") == "active"
        site.exec("sh", "-c", "chmod 0666 /opt/moorage/compose.yml && systemctl stop fail2ban && ufw allow 8080/tcp")
        site.exec("systemctl", "start", "moorage-drift.service", check=False, timeout=1200)
        log = site.exec("journalctl", "-u", "moorage-drift.service", "--no-pager", "-n", "60")
        assert says(site, "moorage-drift.service", "Result") == "success", log
        assert site.exec("stat", "-c", "%a", "/opt/moorage/compose.yml").strip() == "640"
        assert "8080" not in site.exec("ufw", "status") and site.exec("systemctl", "is-active", "fail2ban")
        assert "moorage_drift_items 0\n" in site.exec("cat", "/opt/moorage/metrics/drift.prom")
    finally:
        site.exec("rm", "-rf", "/srv/moorage.git", FACTS)
        production.converge()
    assert says(site, "moorage-drift.timer", "ActiveState") == "inactive"
