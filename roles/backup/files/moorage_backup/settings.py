"""What the inventory says (`config.json`, written by roles/backup), and the secrets of the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moorage_backup.failures import Refused

CONFIG = Path("/etc/moorage-backup/config.json")


@dataclass(frozen=True)
class Target:
    """Where backups go. `repository` is a path or `s3:https://host/bucket/prefix`, as restic writes it."""

    name: str
    repository: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether it lies on the host itself, and is lost with it."""
        return self.repository.startswith("/")


@dataclass(frozen=True)
class Server:
    """The live PostgreSQL, as the role that may read everything and write nothing."""

    host: str
    port: int
    user: str
    sslmode: str
    password: str = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """What libpq's programs read."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGSSLMODE": self.sslmode,
            "PGCONNECT_TIMEOUT": "10",
            # Texts of times must not depend on where a dump is compared.
            "PGTZ": "UTC",
            "PGAPPNAME": "moorage-backup",
        }


@dataclass(frozen=True)
class Objects:
    """The live object store."""

    endpoint: str
    region: str
    buckets: tuple[str, ...]
    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class Retention:
    """How many sealed backups stay, and for how many days back any moment can be restored."""

    daily: int
    weekly: int
    monthly: int
    recovery_days: int


@dataclass(frozen=True)
class Settings:
    """Everything that a run needs to know. Seconds, and MiB per second; 0 MiB is no limit."""

    host: str
    server: Server
    databases: tuple[str, ...]
    objects: Objects | None
    targets: tuple[Target, ...]
    retention: Retention
    ship_seconds: int
    target_seconds: int
    rate_mib: int
    jobs: int
    fast_checkpoint: bool
    key: str = field(repr=False)
    work: Path = Path("/backup")
    metrics: Path = Path("/metrics")

    @property
    def barman_home(self) -> Path:
        """Barman's catalogue: base backups and the write-ahead log."""
        return self.work / "barman"

    @property
    def dumps(self) -> Path:
        """The newest dump of each database."""
        return self.work / "dumps"

    @property
    def mirror(self) -> Path:
        """The objects, by bucket."""
        return self.work / "objects"

    @property
    def files(self) -> Path:
        """The stack's own files, as the host's root has put them together: configuration, .env, certificates."""
        return self.work / "files.tar"

    @property
    def files_of_now(self) -> Path:
        """The same, put together anew whenever a secret or the release has changed: it goes with the log."""
        return self.work / "files-of-now.tar"

    @property
    def state(self) -> Path:
        """Locks and what became of the last runs."""
        return self.work / "state"

    def target(self, name: str = "") -> Target:
        """The target of that name; without one, the first that is not on this host.

        Raises:
            Refused: there is none of that name.
        """
        if not name:
            return next((target for target in self.targets if not target.is_local), self.targets[0])
        for target in self.targets:
            if target.name == name:
                return target
        known = ", ".join(target.name for target in self.targets)
        raise Refused(f"There is no target {name!r}; backup_targets has {known}.")


def load(path: Path = CONFIG, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    Raises:
        Refused: naming the variable of the environment that is missing.
    """

    def secret(name: str) -> str:
        if value := environment.get(name, ""):
            return value
        raise Refused(f"{name} is not set. Put it on the host with `playbooks/set_secret.yml -e name={name}`.")

    raw = json.loads(path.read_text())
    return Settings(
        host=raw["host"],
        server=Server(**raw["server"], password=secret("DATABASE_BACKUP_PASSWORD")),
        databases=tuple(raw["databases"]),
        objects=_objects(raw["objects"], secret),
        targets=tuple(_target(entry, secret) for entry in raw["targets"]),
        retention=Retention(**raw["retention"]),
        ship_seconds=raw["ship_seconds"],
        target_seconds=raw["target_seconds"],
        rate_mib=raw["rate_mib"],
        jobs=raw["jobs"],
        fast_checkpoint=raw["fast_checkpoint"],
        key=secret("BACKUP_ENCRYPTION_KEY"),
        **{name: Path(raw[name]) for name in ("work", "metrics") if name in raw},
    )


def _objects(raw: Mapping[str, Any] | None, secret: Any) -> Objects | None:
    if not raw:
        return None
    keys = {"access_key": secret("S3_ACCESS_KEY_ID"), "secret_key": secret("S3_SECRET_ACCESS_KEY")}
    return Objects(raw["endpoint"], raw["region"], tuple(raw["buckets"]), **keys)


def _target(raw: Mapping[str, str], secret: Any) -> Target:
    """One target: `{name, path}`, or `{name, endpoint, bucket, prefix, region, key}`; `key` begins its secrets."""
    if "path" in raw:
        return Target(raw["name"], raw["path"])
    environment = {
        "AWS_ACCESS_KEY_ID": secret(f"{raw['key']}_ACCESS_KEY_ID"),
        "AWS_SECRET_ACCESS_KEY": secret(f"{raw['key']}_SECRET_ACCESS_KEY"),
        "AWS_DEFAULT_REGION": raw["region"],
    }
    return Target(raw["name"], f"s3:{raw['endpoint']}/{raw['bucket']}/{raw['prefix']}", environment)
