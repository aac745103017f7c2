"""An installation of this folder's own, whose records begin in a Realtime Database: who leads, leads all tenants."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask

from tests.api.conftest import forget
from tests.api.cutover.steps.child import Command
from tests.api.people import Town, running
from tests.rtdb.database import Database
from tests.rtdb.server import Server
from webapp.database import migrations, roles
from webapp.redaction import Secret
from webapp.settings import Settings
from webapp.variables import DatabaseUrl


@dataclass(frozen=True)
class Installation:
    """`app` answers requests; `moorage` runs a command in a process of its own."""

    variables: dict[str, str]
    settings: Settings
    rtdb: Server
    app: Flask
    folder: Path

    def command(self, *words: str) -> Command:
        return Command(self.variables, words, Path(tempfile.mkdtemp(dir=self.folder)))

    def does(self, *words: str) -> Any:
        """What a command printed, which must succeed."""
        command = self.command(*words, "--json")
        assert command.wait() == 0, command.said
        return json.loads(command.printed)

    def refuses(self, *words: str) -> str:
        """What a command said, which must fail."""
        command = self.command(*words)
        assert command.wait() == 1 and "Traceback" not in command.said, command.said
        return command.said

    @contextmanager
    def sql(self) -> Iterator[psycopg.Connection]:
        """As the superuser."""
        assert self.settings.database_admin_url is not None
        admin = self.settings.database_admin_url
        url = DatabaseUrl(admin.user, admin.password, admin.host, admin.port, self.settings.database_url.name)
        with psycopg.connect(url.render(), autocommit=True) as connection:
            yield connection


@pytest.fixture(scope="session")
def rtdb() -> Iterator[Server]:
    with Server(Database(), secret=secrets.token_hex(16)).running() as made:
        yield made


@pytest.fixture(scope="session")
def made(
    environment: dict[str, str], postgres_admin: DatabaseUrl, rtdb: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    suffix = secrets.token_hex(4)

    def url(user: str) -> str:
        parts = (f"{user}_{suffix}", Secret(secrets.token_hex(16)), postgres_admin.host, postgres_admin.port)
        return DatabaseUrl(*parts, f"moorage_cutover_{suffix}").render()

    variables = environment | {
        "DATABASE_URL": url("moorage_app"), "DATABASE_OWNER_URL": url("moorage_owner"), "DATA_BACKEND": "rtdb",
        "RTDB_URL": rtdb.url, "RTDB_SECRET": rtdb.secret, "RTDB_ROOT": "prod",
    }  # fmt: skip
    settings = Settings.parse(variables)
    assert settings.database_admin_url is not None and settings.database_owner_url is not None
    roles.prepare(settings.database_admin_url, roles.Plan.of(settings))
    migrations.upgrade(settings.database_owner_url, application=settings.database_url.user)
    with running(settings) as app:
        yield Installation(variables, settings, rtdb, app, tmp_path_factory.mktemp("commands"))
    forget(postgres_admin, settings)


@pytest.fixture
def its(made: Installation) -> Iterator[Installation]:
    """As it is before any cutover."""
    yield made
    with made.sql() as sql:
        sql.execute("TRUNCATE cutover_events, cutover_runs, records, record_changes, cutover_checkpoints")
        sql.execute("TRUNCATE record_shadow_reads, record_shadow_differences, record_gate")
        sql.execute("INSERT INTO record_gate DEFAULT VALUES")
        sql.execute("DELETE FROM tenants")
    made.rtdb.database.put((), None)


@pytest.fixture
def town(its: Installation) -> Town:
    """A tenant with records of every kind, in the Realtime Database."""
    town = Town.found(its.app)
    for n in range(20):
        done = town.admin.post("/api/v1/workspace/notes", {"id": f"note-{n}", "title": f"Note {n}", "tags": []})
        assert done.status_code == 201, done.json
    assert town.admin.post("/api/v1/bots", {"id": "bot-1", "name": "Harvester"}).status_code == 201
    assert town.admin.call("PUT /api/v1/settings", {"ui": {"theme": "dark"}}).status_code == 200
    return town


@pytest.fixture
def shadowed(its: Installation, town: Town) -> Callable[[], None]:
    """Brings a cutover as far as a switch."""

    def go() -> None:
        its.does("begin")
        its.does("shadow")

    return go
