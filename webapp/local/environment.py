"""`.moorage/local.env`: what a local installation is configured with. Secrets are made once and kept."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from webapp.local.ports import LOOPBACK, free_port
from webapp.local.postgres import SUPERUSER
from webapp.settings import Settings, read_local_env

DATABASE = "moorage"
HEAD = "# Written by `make up` and read by `moorage` in this checkout. Holds secrets: for its owner alone.\n"

# Hexadecimal digits of the secrets that Settings reads, and of the passwords that stand in its URLs.
_SECRETS = {
    "DATABASE_READONLY_PASSWORD": 48,
    "DATABASE_BACKUP_PASSWORD": 48,
    "DATABASE_MONITOR_PASSWORD": 48,
    "S3_SECRET_ACCESS_KEY": 48,
    "SESSION_SECRET": 64,
    "LICENSE_LEASE_SECRET": 64,
}
_PASSWORDS = {"LOCAL_ADMIN_PASSWORD": 48, "LOCAL_OWNER_PASSWORD": 48, "LOCAL_APPLICATION_PASSWORD": 48}


@dataclass(frozen=True)
class LocalEnvironment:
    """Variables for Settings, beside what only the local servers need."""

    values: dict[str, str]
    database_port: int
    store_port: int

    def settings(self) -> Settings:
        return Settings.parse(self.values)


def local_environment(known: dict[str, str], *, port: int, run_dir: Path) -> LocalEnvironment:
    """The variables of this start: secrets and ports of the one before (`known`) where there was one."""
    sizes = _SECRETS | _PASSWORDS
    kept = {name: known.get(name) or secrets.token_hex(size // 2) for name, size in sizes.items()}
    database_port = free_port(int(known.get("LOCAL_DATABASE_PORT", 0)))
    store_port = free_port(int(known.get("LOCAL_STORE_PORT", 0)))

    def url(user: str, password: str, database: str) -> str:
        return f"postgresql://{user}:{kept[password]}@{LOOPBACK}:{database_port}/{database}"

    values = {
        "MOORAGE_ENV": "development",
        "DATABASE_URL": url("moorage_app", "LOCAL_APPLICATION_PASSWORD", DATABASE),
        "DATABASE_OWNER_URL": url("moorage_owner", "LOCAL_OWNER_PASSWORD", DATABASE),
        "DATABASE_ADMIN_URL": url(SUPERUSER, "LOCAL_ADMIN_PASSWORD", "postgres"),
        "S3_ENDPOINT": f"http://{LOOPBACK}:{store_port}",
        "S3_ACCESS_KEY_ID": "moorage-local-key",  # rclone wants 16 characters or more
        "S3_ADMIN_KIND": "given",
        "PORT": str(port),
        "RUN_DIR": str(run_dir),
        "LOCAL_DATABASE_PORT": str(database_port),
        "LOCAL_STORE_PORT": str(store_port),
    }
    return LocalEnvironment(values | kept, database_port, store_port)


def read(path: Path) -> dict[str, str]:
    return read_local_env(path) if path.exists() else {}


def write(path: Path, values: dict[str, str]) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(HEAD + "".join(f"{name}={value}\n" for name, value in values.items()))
    fresh.replace(path)
