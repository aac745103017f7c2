"""Idempotency-Key: the same answer again, nothing twice, nothing readable at rest."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Blueprint, Flask
from marshmallow import fields
from sqlalchemy import text

from tests.api.people import Town, data, its, refusal, running
from webapp.audit import service as audit
from webapp.caller import members
from webapp.errors import MoorageError
from webapp.fields import Body
from webapp.idempotency import service
from webapp.idempotency.jobs import forget
from webapp.operation import Call, operation
from webapp.redaction import Secret
from webapp.settings import Settings

KEY = {"Idempotency-Key": "a-key-of-the-callers-own"}


class Full(MoorageError):
    status, code, message = 409, "FULL", "No more."


class NewThing(Body):
    name = fields.String(required=True)


@pytest.fixture(scope="module")
def app(settings: Settings) -> Iterator[Flask]:
    """With a room whose only operation leaves one row each time it really runs."""
    room = Blueprint("things", __name__)

    @operation(room, "POST /things", summary="-", allow=members(), body=NewThing, status=201, creates=True)
    def make(call: Call) -> dict[str, Any]:
        audit.record(call.session, call.caller, "thing_made", subject=call.body["name"])
        if call.body["name"] == "too many":
            raise Full
        return {"token": "canary-" + call.body["name"]}

    with running(settings) as made:
        made.register_blueprint(room)
        yield made


def made(town: Town) -> int:
    with its(town.app).database.transaction(town.tenant) as session:
        return session.execute(text("SELECT count(*) FROM audit_events WHERE event = 'thing_made'")).scalar_one()


def test_the_first_answer_comes_again(town: Town) -> None:
    first = town.member.post("/things", {"name": "a"}, headers=KEY)
    again = town.member.post("/things", {"name": "a"}, headers=KEY)
    assert (first.status_code, first.text) == (again.status_code, again.text) == (201, first.text)
    assert "Idempotency-Replayed" not in first.headers and again.headers["Idempotency-Replayed"] == "true"
    assert made(town) == 1


def test_another_body_is_refused(town: Town) -> None:
    data(town.member.post("/things", {"name": "a"}, headers=KEY), 201)
    assert refusal(town.member.post("/things", {"name": "b"}, headers=KEY)) == (409, "IDEMPOTENCY_KEY_REUSED")


def test_a_key_is_its_callers_own(town: Town) -> None:
    data(town.member.post("/things", {"name": "a"}, headers=KEY), 201)
    data(town.admin.post("/things", {"name": "b"}, headers=KEY), 201)
    assert made(town) == 2


def test_a_failure_leaves_the_key_free(town: Town) -> None:
    assert refusal(town.member.post("/things", {"name": "too many"}, headers=KEY)) == (409, "FULL")
    data(town.member.post("/things", {"name": "a"}, headers=KEY), 201)


def test_of_many_at_once_one_works(town: Town) -> None:
    assert town.member
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: town.member.post("/things", {"name": "a"}, headers=KEY), range(6)))
    assert {answer.status_code for answer in answers} == {201} and made(town) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_key_that_is_none_is_refused(town: Town, key: str) -> None:
    answer = town.member.post("/things", {"name": "a"}, headers={"Idempotency-Key": key})
    assert refusal(answer) == (400, "VALIDATION_ERROR")


def test_nothing_of_the_answer_is_readable_at_rest(town: Town) -> None:
    data(town.member.post("/things", {"name": "secret"}, headers=KEY), 201)
    with its(town.app).database.transaction(town.tenant) as session:
        [row] = session.execute(text("SELECT * FROM idempotency_keys")).mappings()
    assert all(b"canary" not in bytes(value) for value in row.values() if isinstance(value, memoryview | bytes))
    assert KEY["Idempotency-Key"] not in str(dict(row))


def test_after_the_servers_secret_was_changed_the_answer_is_not_readable_and_nothing_is_done_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    data(town.member.post("/things", {"name": "a"}, headers=KEY), 201)
    key = service._key
    monkeypatch.setattr(service, "_key", lambda attempt, _pepper: key(attempt, Secret("another secret" * 4)))
    answer = town.member.post("/things", {"name": "a"}, headers=KEY)
    assert refusal(answer) == (409, "IDEMPOTENCY_KEY_REUSED") and "secret was changed" in answer.text
    assert made(town) == 1


def test_after_a_day_a_key_is_new(town: Town, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    data(town.member.post("/things", {"name": "a"}, headers=KEY), 201)
    age = text("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'")
    with its(town.app).database.transaction(town.tenant) as session:
        session.execute(age)
    data(town.member.post("/things", {"name": "b"}, headers=KEY), 201)
    with its(town.app).database.transaction(town.tenant) as session:
        session.execute(age)
    forget(timestamp=0)
    with its(town.app).database.transaction(town.tenant) as session:
        assert session.execute(text("SELECT count(*) FROM idempotency_keys")).scalar_one() == 0
        assert service.forget(session) == 0
