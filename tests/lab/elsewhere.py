"""A bucket elsewhere: how a host is told of it, when it has everything, and what whoever rebuilds the host hands in."""

from __future__ import annotations

import re
from typing import Any

from tests.lab.backups.stage import wait_for
from tests.lab.hosts import Host
from tests.lab.lab import Lab
from tests.lab.playbook import ansible, succeeded

METRICS = "/opt/moorage/metrics"
KEY = "BACKUP_ENCRYPTION_KEY"


def target(lab: Lab) -> dict[str, Any]:
    """The lab's bucket, as `backup_targets` has one."""
    return {"name": "bucket", "endpoint": lab.bucket.endpoint, "bucket": "backups"}


def keys(lab: Lab) -> dict[str, str]:
    """Its keys, under the names that the host knows them by."""
    return {"S3_BACKUP_ACCESS_KEY_ID": lab.bucket.access_key, "S3_BACKUP_SECRET_ACCESS_KEY": lab.bucket.secret_key}


def hand_keys_over(lab: Lab) -> None:
    """Put them on the host, as `make secret` does."""
    for name, value in keys(lab).items():
        succeeded(ansible(lab, "set_secret", "-e", f"name={name}", SECRET_VALUE=value))


def encryption_key(host: Host) -> str:
    """What the host's backups are encrypted with."""
    found = re.search(rf"^{KEY}='(\w+)'$", host.exec("cat", "/opt/moorage/.env"), re.MULTILINE)
    assert found, f"there is no {KEY} on {host.name}"
    return found[1]


def wait_until_shipped(host: Host, name: str, seconds: float) -> None:
    """Until everything that was written before now is in the target of that name."""
    begun = float(host.exec("date", "+%s"))
    line = rf'moorage_wal_archive_last_success_timestamp_seconds\{{target="{name}"\}} (\S+)'

    def there() -> bool:
        found = re.search(line, host.exec("cat", f"{METRICS}/wal.prom"))
        return bool(found) and float(found[1]) > begun

    wait_for(there, seconds)
