"""A real PostgreSQL and a real S3 server for the whole session, set up by the product's own `setup`."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from psycopg2 import errors, sql
from sqlalchemy.orm import Session

from tests.api.people import Town, running
from tests.api.relay import Relay
from webapp.database import migrations, roles
from webapp.local import postgres, store
from webapp.local.ports import free_port
from webapp.object_store import service as object_store
from webapp.redaction import Secret
from webapp.settings import Settings
from webapp.variables import DatabaseUrl, database_url

STORE_KEY = "moorage-test-key-0"


@pytest.fixture(scope="session")
def postgres_admin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseUrl]:
    """A superuser of the server that the tests use."""
    given = request.config.getoption("--postgres-url")
    if given:
        yield database_url(given)
        return
    folder = tmp_path_factory.mktemp("postgres")
    data, port, password = folder / "data", free_port(), Secret(secrets.token_hex(16))
    postgres.initialise(data, password)
    # Nothing here outlives the session, so nothing has to reach the disk.
    limits = ("fsync=off", "max_connections=200")
    server = postgres.launch(data, port, record=folder / "record", log=folder / "log", extra=limits)
    try:
        postgres.wait(server, data)
        yield DatabaseUrl(postgres.SUPERUSER, password, "127.0.0.1", port, "postgres")
    finally:
        server.stop(20)


@pytest.fixture(scope="session")
def store_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables of an S3 server that checks signatures."""
    folder = tmp_path_factory.mktemp("store")
    port, secret = free_port(), Secret(secrets.token_hex(20))
    server = store.launch(folder / "objects", port, STORE_KEY, secret, record=folder / "record", log=folder / "log")
    try:
        store.wait(server, port)
        yield {
            "S3_ENDPOINT": f"http://127.0.0.1:{port}",
            "S3_ACCESS_KEY_ID": STORE_KEY,
            "S3_SECRET_ACCESS_KEY": secret.reveal(),
        }
    finally:
        server.stop(20)


@pytest.fixture(scope="session")
def environment(postgres_admin: DatabaseUrl, store_environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Variables of a whole installation in a database of this session's own."""
    suffix = secrets.token_hex(4)

    def url(user: str) -> str:
        parts = (f"{user}_{suffix}", Secret(secrets.token_hex(16)), postgres_admin.host, postgres_admin.port)
        return DatabaseUrl(*parts, f"moorage_test_{suffix}").render()

    variables = {
        "MOORAGE_ENV": "development",
        "DATABASE_URL": url("moorage_app"),
        "DATABASE_OWNER_URL": url("moorage_owner"),
        "DATABASE_ADMIN_URL": postgres_admin.render(),
        "DATABASE_READONLY_PASSWORD": secrets.token_hex(16),
        "DATABASE_BACKUP_PASSWORD": secrets.token_hex(16),
        "DATABASE_MONITOR_PASSWORD": secrets.token_hex(16),
        "SESSION_SECRET": secrets.token_hex(32),
        "LICENSE_LEASE_SECRET": secrets.token_hex(32),
        "READINESS_TIMEOUT_SECONDS": "1.5",
        "RATE_LIMIT_TOKEN": "0",
        "RATE_LIMIT_TENANT": "0",
        "RATE_LIMIT_ADDRESS": "0",
        "RATE_LIMIT_LOGIN": "0",
        "RATE_LIMIT_PAIRING": "0",
        **store_environment,
    }
    yield variables
    forget(postgres_admin, Settings.parse(variables))


@pytest.fixture(scope="session")
def settings(environment: dict[str, str]) -> Settings:
    """The same, set up: roles, tables at head, bucket."""
    made = Settings.parse(environment)
    assert made.database_admin_url is not None and made.database_owner_url is not None
    assert roles.prepare(made.database_admin_url, roles.Plan.of(made))
    assert migrations.upgrade(made.database_owner_url, application=made.database_url.user).changed
    object_store.prepare(made)  # the bucket is there already where another installation of the run came first
    return made


@pytest.fixture(scope="session")
def app(settings: Settings) -> Iterator[Flask]:
    """One for the session: a hundred routes take longer to put together than most tests. Each test has tenants of its
    own; what needs other settings or more routes makes an application of its own."""
    with running(settings) as made:
        yield made


@pytest.fixture
def own_app(settings: Settings) -> Iterator[Flask]:
    """One for this test alone, which may add routes to it."""
    with running(settings) as made:
        yield made


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def town(app: Flask) -> Town:
    """A tenant of this test's own."""
    return Town.found(app)


@pytest.fixture
def elsewhere(app: Flask) -> Town:
    """Another tenant."""
    return Town.found(app, "Elsewhere")


@pytest.fixture
def relays(environment: dict[str, str], settings: Settings) -> Iterator[tuple[Relay, Relay]]:
    """Stand between an application and its database and store, and can be cut or made to hang."""
    address = settings.database_url.host, settings.database_url.port
    host, _, port = settings.s3_endpoint.netloc.partition(":")
    with Relay(*address) as database, Relay(host, int(port)) as objects:
        yield database, objects


@pytest.fixture
def relayed(environment: dict[str, str], relays: tuple[Relay, Relay]) -> dict[str, str]:
    """The installation's variables, by way of the relays."""
    database, objects = relays
    direct = database_url(environment["DATABASE_URL"])
    through = DatabaseUrl(direct.user, direct.password, "127.0.0.1", database.port, direct.name)
    return environment | {
        "DATABASE_URL": through.render(),
        "S3_ENDPOINT": f"http://127.0.0.1:{objects.port}",
    }


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "run"


def session_of(app: Flask) -> Session:
    """A session outside any tenant, for looking at the catalogue."""
    return Session(app.extensions["moorage"].database.engine)


def forget(admin: DatabaseUrl, settings: Settings) -> None:
    """Leave a server that was given as it was found."""
    with closing(psycopg2.connect(admin.render())) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            name = sql.Identifier(settings.database_url.name)
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            for role in roles.Plan.of(settings).roles:
                # The two with fixed names may serve another installation there too: then they stay.
                with contextlib.suppress(errors.DependentObjectsStillExist):
                    cursor.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role.name)))


@pytest.fixture
def run(settings: Settings, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """`run.invoke(moorage, […])`: a command, with the installation's variables."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return CliRunner()
