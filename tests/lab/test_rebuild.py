"""The host is lost. A bare one becomes the product again from git, a bucket and one key."""

from __future__ import annotations

import json
import re

import pytest

from tests.lab import Host, Lab, Shape
from tests.lab.backups.stage import wait_for
from tests.lab.playbook import TRANSCRIPT, ansible, succeeded
from tests.lab.serving import release
from tests.lab.test_backup import METRICS, sql
from tests.lab.web import Client

KEY = "BACKUP_ENCRYPTION_KEY"
BUCKET = "moorage-artifacts"
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
    bucket = lab.bucket
    target = {"name": "bucket", "endpoint": bucket.endpoint, "bucket": "backups"}
    given = ("-e", json.dumps({"backup_targets": [{"name": "local", "path": "/backup/repository"}, target]}))
    for name, value in (("ACCESS_KEY_ID", bucket.access_key), ("SECRET_ACCESS_KEY", bucket.secret_key)):
        succeeded(ansible(lab, "set_secret", "-e", f"name=S3_BACKUP_{name}", SECRET_VALUE=value))
    succeeded(ansible(lab, "deploy", *given))
    site.exec("docker", "exec", "moorage-backup", "python3", "-c", PUT)
    succeeded(ansible(lab, "backup", *given))
    return given


def test_a_lost_host_comes_back(lab: Lab, site: Host, elsewhere):
    sql(site, "CREATE TABLE after_the_backup AS SELECT generate_series(1, 1000) AS n")
    before = release(site)
    begun = float(site.exec("date", "+%s"))
    shipped = r'moorage_wal_archive_last_success_timestamp_seconds\{target="bucket"\} (\S+)'

    def in_the_bucket() -> bool:
        found = re.search(shipped, site.exec("cat", f"{METRICS}/wal.prom"))
        return bool(found) and float(found.group(1)) > begun

    wait_for(in_the_bucket, 120)
    key = re.search(rf"^{KEY}='(\w+)'$", site.exec("cat", "/opt/moorage/.env"), re.MULTILINE).group(1)
    refused = ansible(lab, "rebuild", *elsewhere, "-e", "restore_target=vps")
    assert refused.code == 2 and "it is no bare host" in refused.words

    lab.forget("vps")
    bare = lab.host("vps", Shape())
    lab.write_facts()
    unnamed = ansible(lab, "rebuild", *elsewhere, "-e", "restore_target=other")
    assert unnamed.code == 2 and "Type the host to be rebuilt: -e restore_target=vps." in unnamed.words
    keyless = ansible(lab, "rebuild", *elsewhere, "-e", "restore_target=vps")
    assert keyless.code == 2 and KEY in keyless.words and "must be in the environment" in keyless.words
    keys = {"S3_BACKUP_ACCESS_KEY_ID": lab.bucket.access_key, "S3_BACKUP_SECRET_ACCESS_KEY": lab.bucket.secret_key}
    run = succeeded(ansible(lab, "rebuild", *elsewhere, "-e", "restore_target=vps", **{KEY: key}, **keys))
    print("\n".join(line for line in run.output.splitlines() if "minutes after" in line or "acknowledged" in line))

    assert sql(bare, "SELECT count(*) FROM after_the_backup") == "1000"
    assert bare.exec("docker", "exec", "moorage-backup", "python3", "-c", GET).strip() == "kept"
    assert {name: unit["images"] for name, unit in release(bare)["units"].items()} == {
        name: unit["images"] for name, unit in before["units"].items()
    }
    web = Client(bare.address, lab.root_certificate)
    assert web.api("/api/v1/health/ready").status == 200
    assert not any(key in printed for printed in TRANSCRIPT)
    again = succeeded(ansible(lab, "site", *elsewhere))
    assert again.changed == 0, again.changes
