"""The chain of audit events: sealed in batches by the worker, and not to be changed unseen, by the owner neither."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tests.api.people import Town, data, its
from webapp.audit import chain, service
from webapp.audit.jobs import seal
from webapp.cli import moorage

Tamper = Callable[[str], None]


@pytest.fixture(autouse=True)
def environment_of_this_suite(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def sealed(town: Town) -> Town:
    """Ten events in the chain."""
    with its(town.app).database.transaction(town.tenant) as session:
        by = service.Actor(town.tenant, "test", "system")
        for number in range(10):
            service.record(session, by, "thing_done", subject=number, details={"a": number, "b": [1, "ü", None]})
    seal(timestamp=0)
    return town


@pytest.fixture
def tamper(sealed: Town) -> Tamper:
    """Change the table as a superuser, whom neither policies nor (disabled) triggers stop."""
    admin = its(sealed.app).settings.database_admin_url
    assert admin is not None

    def change(statement: str) -> None:
        url = admin.render(database=its(sealed.app).settings.database_url.name)
        with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("ALTER TABLE audit_events DISABLE TRIGGER USER")
            cursor.execute(statement, {"tenant": str(sealed.tenant)})
            assert cursor.rowcount > 0
            cursor.execute("ALTER TABLE audit_events ENABLE TRIGGER USER")

    return change


def verdict(town: Town) -> chain.Verdict:
    with its(town.app).database.transaction(town.tenant) as session:
        return chain.verify(session, town.tenant)


def test_what_is_sealed_fits(sealed: Town) -> None:
    assert verdict(sealed) == chain.Verdict(sealed.tenant, 10)
    result = CliRunner().invoke(moorage, ["audit", "verify", "--tenant", str(sealed.tenant)])
    assert result.exit_code == 0 and result.stdout == f"ok     {sealed.tenant} 10 events\n"


WRONG = {
    "edited": ("UPDATE audit_events SET actor = 'x' WHERE tenant_id = %(tenant)s AND seq = 4", "event 4 "),
    "details edited": (
        "UPDATE audit_events SET details = jsonb_set(details, '{a}', '7') WHERE tenant_id = %(tenant)s AND seq = 3",
        "event 3 ",
    ),
    "back-dated": (
        "UPDATE audit_events SET at = at - interval '1 h' WHERE tenant_id = %(tenant)s AND seq = 1",
        "event 1 ",
    ),
    "deleted": ("DELETE FROM audit_events WHERE tenant_id = %(tenant)s AND seq = 6", "event 6 is missing"),
    "cut off": ("DELETE FROM audit_events WHERE tenant_id = %(tenant)s AND seq > 8", "ends at event 8"),
    "emptied": ("DELETE FROM audit_events WHERE tenant_id = %(tenant)s", "ends at event 0"),
    "swapped": (
        "UPDATE audit_events e SET seq = CASE e.seq WHEN 2 THEN 102 ELSE 2 END WHERE tenant_id = %(tenant)s"
        " AND seq IN (2, 3)",
        "event 2 ",
    ),
}


@pytest.mark.parametrize("how", WRONG)
def test_what_was_changed_is_named(sealed: Town, tamper: Tamper, how: str) -> None:
    statement, told = WRONG[how]
    if how == "swapped":  # the numbers are unique: one is moved away first
        tamper("UPDATE audit_events SET seq = 102 WHERE tenant_id = %(tenant)s AND seq = 2")
        tamper("UPDATE audit_events SET seq = 2 WHERE tenant_id = %(tenant)s AND seq = 3")
        tamper("UPDATE audit_events SET seq = 3 WHERE tenant_id = %(tenant)s AND seq = 102")
    else:
        tamper(statement)
    wrong = verdict(sealed).wrong
    assert wrong is not None and told in wrong
    result = CliRunner().invoke(moorage, ["audit", "verify", "--tenant", str(sealed.tenant)])
    assert result.exit_code == 1 and str(sealed.tenant) in result.stdout
    assert result.stderr.startswith("AUDIT_CHAIN_BROKEN: 1 of 1 chains")


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_events SET actor = 'x'", "UPDATE audit_events SET seq = 77", "UPDATE audit_events SET seq = NULL"],
)
def test_the_application_cannot_change_what_is_sealed(sealed: Town, statement: str) -> None:
    refused = pytest.raises(ProgrammingError, match="only ever sealed, once")
    with refused, its(sealed.app).database.transaction(sealed.tenant) as session:
        session.execute(text(statement))


def test_the_application_cannot_delete_an_event(sealed: Town) -> None:
    with its(sealed.app).database.transaction(sealed.tenant) as session:
        assert session.execute(text("DELETE FROM audit_events")).rowcount == 0


def test_events_written_at_once_are_all_sealed_once(town: Town) -> None:
    def write(number: int) -> None:
        with its(town.app).database.transaction(town.tenant) as session:
            service.record(session, service.Actor(town.tenant, str(number), "system"), "thing_done")

    def seal_now(_: int) -> None:
        with its(town.app).database.transaction(town.tenant) as session:
            chain.seal(session, town.tenant)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda job: job[0](job[1]), [(write if n % 3 else seal_now, n) for n in range(60)]))
    seal(timestamp=0)
    assert verdict(town) == chain.Verdict(town.tenant, 40)


def test_the_log_is_for_managers_and_by_tenant(sealed: Town, elsewhere: Town) -> None:
    events = data(sealed.infra.get("/api/v1/audit?event=thing_done&sort=id&order=asc&limit=3"))
    assert [event["seq"] for event in events] == [1, 2, 3] and events[0]["details"]["b"] == [1, "ü", None]
    assert sealed.member.get("/api/v1/audit").status_code == sealed.viewer.get("/api/v1/audit").status_code == 403
    assert all(event["event"] != "thing_done" for event in data(elsewhere.admin.get("/api/v1/audit")))
