"""An installation of a benchmark's own: PostgreSQL, S3 server, tables, a tenant; and processes of ours on it."""

from __future__ import annotations

import contextlib
import http.client
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

from webapp.auth import service as auth
from webapp.database import migrations, roles
from webapp.db import Database
from webapp.local import postgres, store
from webapp.local.ports import free_port
from webapp.local.processes import start
from webapp.object_store import service as object_store
from webapp.redaction import Secret
from webapp.settings import Settings, inherited
from webapp.tenants import service as tenants
from webapp.variables import DatabaseUrl

STORE_KEY = "moorage-bench-key"


@dataclass
class Servers:
    """PostgreSQL and the S3 server, which a test may stop and start again where they were."""

    folder: Path
    password: Secret
    secret: Secret
    port: int = field(default_factory=free_port)
    s3_port: int = field(default_factory=free_port)

    def start_postgres(self) -> None:
        data = self.folder / "data"
        postgres.initialise(data, self.password)
        settings = ("fsync=off", "max_connections=100")
        self.postgres = postgres.launch(
            data, self.port, record=self.folder, log=self.folder / "postgres.log", extra=settings
        )
        postgres.wait(self.postgres, data)

    def start_store(self) -> None:
        objects, log = self.folder / "objects", self.folder / "store.log"
        self.store = store.launch(objects, self.s3_port, STORE_KEY, self.secret, record=self.folder, log=log)
        store.wait(self.store, self.s3_port)


class Running(NamedTuple):
    """Where a process answers, and which it is (gunicorn's master: its workers are its children)."""

    port: int
    pid: int


@dataclass(frozen=True)
class Installation:
    """`environment` is what a process of ours is started with."""

    folder: Path
    environment: dict[str, str]
    settings: Settings
    database: Database
    servers: Servers

    def tenant(self) -> UUID:
        """A new one."""
        tenant = uuid4()
        with self.database.transaction(tenant) as session:
            tenants.create_tenant(session, tenant_id=tenant, name="Bench")
        return tenant

    def token(self, tenant: UUID, role: str = "admin", user_id: str = "bench") -> str:
        """A bearer token for an hour."""
        with self.database.transaction(tenant) as session:
            made = auth.issue_token(
                session,
                self.settings.session_secret,
                tenant=tenant,
                user_id=user_id,
                role=role,
                lives=timedelta(hours=1),
            )
        return made.token.reveal()

    @contextlib.contextmanager
    def running(self, name: str, *command: str, **changes: str) -> Iterator[Running]:
        """A process of ours (`python -m …`) on a port of its own; stopped at the end."""
        port = free_port()
        folder = self.folder / f"{name}-{port}"
        folder.mkdir()
        variables = inherited(**self.environment) | {"PORT": str(port), "RUN_DIR": str(folder)} | changes
        child = start(
            name,
            [sys.executable, "-m", *command],
            record=folder,
            log=self.folder / f"{name}.log",
            environment=variables,
        )
        try:
            _until_answering(port, child.alive)
            yield Running(port, child.popen.pid)
        finally:
            child.stop(30)


@contextlib.contextmanager
def installation() -> Iterator[Installation]:
    """Everything started, set up, and stopped at the end. PostgreSQL keeps its default durability, but for fsync: what
    is measured is this code, not a disk that may be anything."""
    with tempfile.TemporaryDirectory(prefix="moorage-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        servers = Servers(folder, Secret(secrets.token_hex(16)), Secret(secrets.token_hex(20)))
        with contextlib.ExitStack() as stack:
            servers.start_postgres()
            stack.callback(lambda: servers.postgres.stop(20))
            servers.start_store()
            stack.callback(lambda: servers.store.stop(10))
            yield _set_up(servers)


def _set_up(servers: Servers) -> Installation:
    port, password = servers.port, servers.password

    def url(user: str, database: str = "moorage", known: Secret | None = None) -> str:
        return DatabaseUrl(user, known or Secret(secrets.token_hex(16)), "127.0.0.1", port, database).render()

    environment = {
        "MOORAGE_ENV": "development",
        "DATABASE_URL": url("moorage_app"),
        "DATABASE_OWNER_URL": url("moorage_owner"),
        "DATABASE_ADMIN_URL": url(postgres.SUPERUSER, "postgres", password),
        "SESSION_SECRET": secrets.token_hex(32),
        "LICENSE_LEASE_SECRET": secrets.token_hex(32),
        "RATE_LIMIT_TOKEN": "0",
        "RATE_LIMIT_PAIRING": "0",
        "RATE_LIMIT_TENANT": "0",
        "RATE_LIMIT_ADDRESS": "0",
        "LOG_LEVEL": "WARNING",
        "S3_ENDPOINT": f"http://127.0.0.1:{servers.s3_port}",
        "S3_ACCESS_KEY_ID": STORE_KEY,
        "S3_SECRET_ACCESS_KEY": servers.secret.reveal(),
    }
    settings = Settings.parse(environment)
    assert settings.database_admin_url is not None and settings.database_owner_url is not None
    roles.prepare(settings.database_admin_url, roles.Plan.of(settings))
    migrations.upgrade(settings.database_owner_url, application=settings.database_url.user)
    object_store.prepare(settings)
    return Installation(servers.folder, environment, settings, Database(settings.database_url, pool_size=4), servers)


def _until_answering(port: int, alive: object) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        assert callable(alive) and alive(), "the process ended as soon as it was started"
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/api/v1/health/live")
            connection.getresponse().read()
            return
        time.sleep(0.1)
    raise AssertionError("the process does not answer")
