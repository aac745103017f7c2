"""The same request by several at once: whoever comes second is told so in the domain's words, and is no failure."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest
from flask import Flask

from tests.api.bare import served_document
from tests.api.fuzz.asked import Answer, Asked
from tests.api.fuzz.callers import Callers
from tests.api.fuzz.judge import Judge
from tests.api.fuzz.malformed import as_documented
from tests.api.isolation.slots import Json, operations
from tests.api.people import running
from webapp.settings import Settings

AT_ONCE = 6


def _takes_a_key(op: Json) -> bool:
    return any(parameter["name"] == KEY for parameter in op["parameters"])


KEY = "Idempotency-Key"
WRITES = [(method, path, op) for method, path, op in operations(served_document()) if method != "get"]
CASES = [(*one, keyed) for one in WRITES for keyed in (False, True) if not keyed or _takes_a_key(one[2])]


@pytest.fixture(scope="module")
def app(environment: dict[str, str], settings: Settings) -> Iterator[Flask]:
    with running(Settings.parse(environment)) as made:
        yield made


@pytest.mark.parametrize(
    ("method", "path", "op", "keyed"), CASES, ids=[f"{one[0].upper()} {one[1]}{' keyed' * one[3]}" for one in CASES]
)
def test_at_once(method: str, path: str, op: Json, keyed: bool, app: Flask) -> None:
    callers, judge = Callers(app), Judge(app)
    may = op["x-callers"]
    by = "none" if not may else "agent" if not may["roles"] else "admin"
    asked = as_documented(method, path, op, callers.world, by)
    if keyed:
        asked = replace(asked, headers={**asked.headers, KEY: str(uuid4())})
    asked, together = asked.bearing(callers.token(by)), threading.Barrier(AT_ONCE)

    def send(one: Asked) -> Answer:
        together.wait(10)
        return one.send(app, patient=True)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(send, [asked] * AT_ONCE))
    faults = [fault for answer in answers for fault in judge.faults(asked, answer)]
    assert faults == [], asked.shown()
    if keyed:
        assert len({answer.body for answer in answers if answer.status < 300}) <= 1, "one answer for all"


@pytest.mark.parametrize("path", ["/api/v1/entitlements/{entitlement_id}", "/api/v1/secrets/bindings/{binding_id}"])
def test_what_several_delete_at_once_is_deleted_once(path: str, app: Flask) -> None:
    callers, together = Callers(app), threading.Barrier(AT_ONCE)
    asked = as_documented("delete", path, served_document()["paths"][path]["delete"], callers.world, "admin")

    def send(one: Asked) -> int:
        together.wait(10)
        return one.send(app, patient=True).status

    with ThreadPoolExecutor(AT_ONCE) as pool:
        statuses = pool.map(send, [asked.bearing(callers.token("admin"))] * AT_ONCE)
        assert sorted(statuses) == [200, *[404] * (AT_ONCE - 1)]
