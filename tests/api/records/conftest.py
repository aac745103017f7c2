"""One application for each store that records may be in, over the same PostgreSQL, and what was put beside it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from flask import Flask

from tests.api.people import Town, running
from tests.rtdb.database import Database
from tests.rtdb.server import Server
from webapp.settings import Settings

BACKENDS = ("supabase", "rtdb")
ROOT = ("prod", "v1")


@pytest.fixture(scope="session")
def rtdb() -> Iterator[Server]:
    """The Realtime Database."""
    with Server(Database(), secret=secrets.token_hex(16)).running() as made:
        yield made


@pytest.fixture(scope="session")
def in_rtdb(rtdb: Server, environment: dict[str, str]) -> dict[str, str]:
    """An installation's variables, with its records there."""
    there = {"RTDB_URL": rtdb.url, "RTDB_SECRET": rtdb.secret, "RTDB_ROOT": "/".join(ROOT)}
    return environment | there | {"DATA_BACKEND": "rtdb"}


@pytest.fixture(scope="session")
def apps(settings: Settings, in_rtdb: dict[str, str]) -> Iterator[dict[str, Flask]]:
    with running(settings) as rows, running(Settings.parse(in_rtdb)) as nodes:
        yield {"supabase": rows, "rtdb": nodes}


@pytest.fixture(params=BACKENDS)
def app(request: pytest.FixtureRequest, apps: dict[str, Flask]) -> Flask:
    """Each of the two: what is tested with it holds for both."""
    return apps[request.param]


@pytest.fixture
def node_town(apps: dict[str, Flask]) -> Town:
    """A tenant whose records are in the Realtime Database."""
    return Town.found(apps["rtdb"])


@pytest.fixture
def row_town(apps: dict[str, Flask]) -> Town:
    """A tenant whose records are in PostgreSQL."""
    return Town.found(apps["supabase"])
