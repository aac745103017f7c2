"""The health contract, also while the database or the store is stopped or says nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg2
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from tests.api.relay import Relay
from webapp import create_app
from webapp.database.heads import head
from webapp.db import Database
from webapp.settings import Settings

READY, LIVE, HEALTH = (f"/api/v1/health{tail}" for tail in ("/ready", "/live", ""))


@pytest.fixture
def through(relayed: dict[str, str]) -> Iterator[FlaskClient]:
    app = create_app(Settings.parse(relayed))
    yield app.test_client()


def test_live_says_who_and_when(client: FlaskClient) -> None:
    answer = client.get(LIVE)
    data = answer.json["data"]
    assert answer.status_code == 200 and answer.json["success"] is True
    assert data["status"] == "live" and data["service"] == "moorage" and data["timestamp"].endswith("Z")


def test_ready_names_each_check_with_its_latency(client: FlaskClient) -> None:
    answer = client.get(READY)
    data = answer.json["data"]
    assert answer.status_code == 200
    assert (data["status"], data["ready"]) == ("ready", True)
    assert set(data["checks"]) == {"database", "object_store"}
    assert all(check["status"] == "up" and check["latency_ms"] >= 0 for check in data["checks"].values())


def test_health_has_exactly_the_contracts_fields(client: FlaskClient) -> None:
    data = client.get(HEALTH).json["data"]
    assert set(data) == {
        "service",
        "version",
        "timestamp",
        "data_backend",
        "supabase_ready",
        "s3_ready",
        "supabase_configured",
        "s3_configured",
        "uptime_seconds",
    }
    assert data["data_backend"] == "supabase" and data["supabase_ready"] and data["s3_ready"]


@pytest.mark.parametrize("which", [0, 1], ids=["database", "object_store"])
@pytest.mark.parametrize("fault", ["stop", "hang"])
def test_a_dependency_that_is_gone_makes_it_not_ready_in_time_and_leaves_it_alive(
    through: FlaskClient, relays: tuple[Relay, Relay], which: int, fault: str
) -> None:
    assert through.get(READY).status_code == 200
    getattr(relays[which], fault)()

    began = time.monotonic()
    answer = through.get(READY)
    took = time.monotonic() - began

    data = answer.json["data"]
    name, other = ("database", "object_store")[:: 1 if which == 0 else -1]
    assert answer.status_code == 503 and answer.json["success"] is True
    assert (data["status"], data["ready"]) == ("not-ready", False)
    assert data["checks"][name]["status"] == "down" and data["checks"][name]["error"]
    assert data["checks"][other]["status"] == "up"
    assert took < 1.5, "READINESS_TIMEOUT_SECONDS"
    assert through.get(LIVE).status_code == 200
    assert through.get(HEALTH).status_code == 200

    relays[which].start() if fault == "stop" else relays[which].resume()
    assert through.get(READY).status_code == 200, "it is ready again without a restart"


def test_both_hanging_cost_one_time_out_and_not_two(through: FlaskClient, relays: tuple[Relay, Relay]) -> None:
    for relay in relays:
        relay.hang()
    began = time.monotonic()
    checks = through.get(READY).json["data"]["checks"]
    assert time.monotonic() - began < 1.5
    assert {check["status"] for check in checks.values()} == {"down"}


def test_connections_that_were_open_before_an_outage_serve_again_after_it(
    relayed: dict[str, str], relays: tuple[Relay, Relay]
) -> None:
    database = Database(Settings.parse(relayed).database_url, pool_size=1)
    with database.transaction() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1
    relays[0].stop()
    relays[0].start()
    with database.transaction() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1


def test_tables_of_another_version_make_it_not_ready(app: Flask, client: FlaskClient, settings: Settings) -> None:
    assert settings.database_owner_url is not None
    with psycopg2.connect(settings.database_owner_url.render()) as owner, owner.cursor() as cursor:
        cursor.execute("UPDATE alembic_version SET version_num = '0001'")
    try:
        answer = client.get(READY)
    finally:
        with owner, owner.cursor() as cursor:
            cursor.execute("UPDATE alembic_version SET version_num = %s", (head(),))
        owner.close()
    assert answer.status_code == 503
    assert "moorage db upgrade" in answer.json["data"]["checks"]["database"]["error"]
