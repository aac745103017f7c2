"""The host is lost. A bare one becomes the product again from git, a bucket and one key."""

from __future__ import annotations

import json

import pytest

from tests.lab import Host, Lab, Shape
from tests.lab import elsewhere as away
from tests.lab.backups.stage import wait_for
from tests.lab.elsewhere import KEY
from tests.lab.playbook import TRANSCRIPT, ansible, succeeded
from tests.lab.serving import release
from tests.lab.test_backup import says, sql
from tests.lab.web import Client

BUCKET, ENV = "moorage-artifacts", "/opt/moorage/.env"
# Into the stack's own object store, with what backs it up.
PUT = f"""
from pathlib import Path
from moorage_backup import objects, settings
folder = Path("/tmp/put")
folder.mkdir(exist_ok=True)
(folder / "kept.bin").write_text("kept")
objects.put(settings.load().objects, folder, "{BUCKET}", "releases")
"""
GET = f"""
from moorage_backup import objects, settings
print(objects.rclone(settings.load().objects, "cat", "store:{BUCKET}/releases/kept.bin"))
"""


@pytest.fixture(scope="module")
def elsewhere(lab: Lab, site: Host) -> tuple[str, ...]:
    """The inventory with a bucket elsewhere, and a backup in it."""
    targets = [{"name": "local", "path": "/backup/repository"}, away.target(lab)]
    given = ("-e", json.dumps({"backup_targets": targets}))
    away.hand_keys_over(lab)
    succeeded(ansible(lab, "deploy", *given))
    site.exec("docker", "exec", "moorage-backup", "python3", "-c", PUT)
    succeeded(ansible(lab, "backup", *given))
    return given


def test_a_lost_host_comes_back(lab: Lab, site: Host, elsewhere):
    sql(site, "CREATE TABLE after_the_backup AS SELECT generate_series(1, 1000) AS n")
    before = release(site)
    # Not in the backup: it goes with the log.
    site.exec("tee", "-a", ENV, given="MADE_SINCE='then'\n")
    away.wait_until_shipped(site, "bucket", 120)
    key = away.encryption_key(site)
    refused = ansible(lab, "rebuild", *elsewhere, "-e", "restore_target=vps")
    assert refused.code == 2 and "it is no bare host" in refused.words

    lab.forget("vps")
    bare = lab.host("vps", Shape())
    lab.write_facts()
    unnamed = ansible(lab, "rebuild", *elsewhere, "-e", "restore_target=other")
    assert unnamed.code == 2 and "Type the host to be rebuilt: -e restore_target=vps." in unnamed.words
    keyless = ansible(lab, "rebuild", *elsewhere, "-e", "restore_target=vps")
    assert keyless.code == 2 and KEY in keyless.words and "must be in the environment" in keyless.words
    keys = {KEY: key, **away.keys(lab)}
    run = succeeded(ansible(lab, "rebuild", *elsewhere, "-e", "restore_target=vps", **keys))
    print("\n".join(line for line in run.output.splitlines() if "minutes after" in line or "acknowledged" in line))

    assert sql(bare, "SELECT count(*) FROM after_the_backup") == "1000"
    assert bare.exec("docker", "exec", "moorage-backup", "python3", "-c", GET).strip() == "kept"
    assert {name: unit["images"] for name, unit in release(bare)["units"].items()} == {
        name: unit["images"] for name, unit in before["units"].items()
    }
    assert "MADE_SINCE='then'" in bare.exec("cat", ENV)
    # Not waited for; the new server's log has a copy to go on from.
    wait_for(lambda: says(bare, "moorage-drill.service", "ExecMainExitTimestampMonotonic") != "0", 400)
    assert says(bare, "moorage-backup.service", "Result") == says(bare, "moorage-drill.service", "Result") == "success"
    web = Client(bare.address, lab.root_certificate)
    assert web.api("/api/v1/health/ready").status == 200
    assert not any(key in printed for printed in TRANSCRIPT)
    again = succeeded(ansible(lab, "site", *elsewhere))
    assert again.changed == 0, again.changes
