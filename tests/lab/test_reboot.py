"""A host whose power was cut comes back as it was, by itself (test_firewall.py has the orderly reboot)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab import Host, Lab
from tests.lab.backups.stage import wait_for
from tests.lab.errors import LabError
from tests.lab.hosts import Key
from tests.lab.playbook import ansible, succeeded
from tests.lab.web import Client


def test_a_host_of_another_checkout_is_not_taken_for_ones_own(vps: Host, tmp_path: Path):
    other = tmp_path / "id_ed25519"
    other.with_suffix(".pub").write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA someone")
    with pytest.raises(LabError, match=r"made from another checkout.*`python -m tests.lab down --name"):
        replace(vps, key=Key(other)).ensure()


def test_the_product_serves_again_after_a_power_cut(lab: Lab, site: Host, web: Client):
    version = json.loads(web.api("/api/v1/health").body)["data"]["version"]
    site.kill()
    site.start()
    site.wait_ready()
    web.until("/api/v1/health/ready", lambda answer: answer.status == 200, seconds=120)
    assert json.loads(web.api("/api/v1/health").body)["data"]["version"] == version
    assert web.get("https://app.moorage.test/").status == 200
    # Each by itself: whoever is asked for nothing may be the last.
    project = "label=com.docker.compose.project=moorage"
    states = ("docker", "ps", "-a", "--filter", project, "--format", "{{.State}} {{.Names}} ({{.Status}})")

    def lying() -> list[str]:
        return [line for line in site.exec(*states).splitlines() if not line.startswith("running ")]

    wait_for(lambda: lying() == [], 120, told=lying)
    run = succeeded(ansible(lab, "site", "--diff"))
    assert run.changed == 0, run.output
