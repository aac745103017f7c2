"""What `/metrics` says beside requests: the database, the queue, and tokens that somebody has tampered with."""

from __future__ import annotations

import re

import jwt
import pytest
from flask import Flask
from sqlalchemy import text

from tests.api.machines import until
from tests.api.people import Person, Town, its, running
from tests.api.relay import Relay
from webapp.jobs import service as jobs
from webapp.settings import CHECKOUT, Settings


def value(town: Town, name: str) -> float:
    """Of one series; 0 where there is none yet."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", town.app.test_client().get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def forged(town: Town, how: str) -> str:
    claims = jwt.decode(town.admin.token, options={"verify_signature": False})
    secret = its(town.app).settings.session_secret.reveal()
    return {
        "another secret": lambda: jwt.encode(claims, "x" * 64, algorithm="HS256"),
        "no signature": lambda: jwt.encode(claims, "", algorithm="none"),
        "no token": lambda: "a.b.c",
        "too old": lambda: jwt.encode({**claims, "exp": 1}, secret, algorithm="HS256"),
    }[how]()


@pytest.mark.parametrize(
    ("how", "counts"), [("another secret", 1), ("no signature", 1), ("no token", 1), ("too old", 0)]
)
def test_a_bearer_that_was_tampered_with_is_counted_and_one_that_is_old_is_not(
    town: Town, how: str, counts: int
) -> None:
    name = 'moorage_signature_failures_total{kind="bearer"}'
    before = value(town, name)
    person = Person(town.app.test_client(), forged(town, how))
    assert person.get("/api/v1/auth/whoami").status_code == 401
    assert value(town, name) == before + counts


def test_a_lease_token_that_was_tampered_with_is_counted(town: Town) -> None:
    name = 'moorage_signature_failures_total{kind="lease"}'
    before = value(town, name)
    asked = {"lease_token": "a.b.c", "vm_uuid": "vm-0000-0001", "module": "app", "platform": "linux"}
    assert town.member.post("/api/v1/artifacts/resolve-download", asked).status_code == 401
    assert value(town, name) == before + 1


def test_statements_are_timed_and_connections_counted(town: Town) -> None:
    name = "moorage_db_query_duration_seconds_count"
    before = value(town, name)
    assert town.admin.get("/api/v1/projects").status_code == 200
    assert value(town, name) > before
    name = "moorage_db_connections_in_use"
    until(lambda: value(town, name) == 0)  # what runs in the background holds one for a moment
    with its(town.app).database.transaction(town.tenant) as session:
        session.execute(text("SELECT 1"))
        assert value(town, name) >= 1
    until(lambda: value(town, name) == 0)


def test_the_queue_is_counted_when_somebody_asks(town: Town) -> None:
    def waiting() -> float:
        return value(town, 'moorage_job_queue_length{state="todo"}')

    before = waiting()
    with its(town.app).database.transaction() as session:
        jobs.defer(session, "a.test")
    assert waiting() == before + 1
    with its(town.app).database.transaction() as session:
        session.execute(text("DELETE FROM procrastinate_jobs WHERE task_name = 'a.test'"))
    assert waiting() == before


@pytest.mark.parametrize("fault", ["stop", "hang"])
def test_without_a_database_the_other_numbers_are_still_there(
    relays: tuple[Relay, Relay], relayed: dict[str, str], fault: str
) -> None:
    with running(Settings.parse(relayed)) as app:
        getattr(relays[0], fault)()
        answer = app.test_client().get("/metrics")
        assert answer.status_code == 200 and "moorage_http_requests_total" in answer.text
        assert "moorage_job_queue_length{" not in answer.text


def test_every_metric_is_in_the_manual(app: Flask) -> None:
    page = (CHECKOUT / "docs/reference/metrics.md").read_text()
    said = app.test_client().get("/metrics").text
    told = {name for name in re.findall(r"^# TYPE (moorage_\w+)", said, re.MULTILINE) if not name.endswith("_created")}
    own = page.partition("## Of the control plane")[2].partition("\n## ")[0]
    assert told == set(re.findall(r"^\| `(\w+)`", own, re.MULTILINE))
