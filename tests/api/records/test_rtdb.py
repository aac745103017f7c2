"""What holds in the Realtime Database alone: where records are, what others do to them, and what if it fails."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest
from flask import Flask

from tests.api.people import Town, data, its, refusal, running
from tests.api.records.conftest import ROOT
from tests.api.relay import Relay
from tests.rtdb.server import Server
from webapp.records import nodes, rest
from webapp.settings import CHECKOUT, Settings, inherited

BOTS, NOTES, SETTINGS = "/api/v1/bots", "/api/v1/workspace/notes", "/api/v1/settings"


def place(town: Town, *keys: str) -> tuple[str, ...]:
    return (*ROOT, "tenants", str(town.tenant), *keys)


def test_records_are_where_the_layout_says(node_town: Town, rtdb: Server) -> None:
    made = data(node_town.member.post("/api/v1/finance/operations", {"amount": 1}), 201)
    times = {"created_at": made["created_at"], "updated_at": made["created_at"]}
    assert rtdb.database.get(place(node_town, "finance", "operations", made["id"])) == {"amount": 1, **times}
    data(node_town.admin.call(f"PUT {SETTINGS}/ui/theme", "dark"))
    assert rtdb.database.get(place(node_town, "settings")) == {"ui": {"theme": "dark"}}


def test_no_row_is_made(node_town: Town) -> None:
    data(node_town.member.post(NOTES, {"a": 1}), 201)
    from sqlalchemy import text

    with its(node_town.app).database.transaction(node_town.tenant) as session:
        assert session.scalar(text("SELECT count(*) FROM records")) == 0


def test_what_rtdb_cannot_keep_stands_beside_what_it_can(node_town: Town, rtdb: Server) -> None:
    data(node_town.member.post(NOTES, {"id": "one", "tags": [], "a.b": 1}), 201)
    node = rtdb.database.get(place(node_town, "workspace", "notes", "one"))
    assert node["a%2Eb"] == 1 and json.loads(node["_exact"]) == {"tags": [], "a.b": 1} and "tags" not in node
    # Somebody else writes: what they wrote counts, and is kept exactly again after the next change here.
    rtdb.database.put(place(node_town, "workspace", "notes", "one", "tags"), ["new"])
    found = data(node_town.viewer.get(f"{NOTES}/one"))
    assert found["tags"] == ["new"] and "_exact" not in found
    assert data(node_town.member.call(f"PATCH {NOTES}/one", {"n": None, "e": []}))["e"] == []
    assert data(node_town.viewer.get(f"{NOTES}/one"))["tags"] == ["new"]


def test_a_record_from_before_is_read_whatever_its_notation(node_town: Town, rtdb: Server) -> None:
    nodes_of = {
        "a": {"id": "other", "name": "x", "created_at": "2026-11-20T20:00:00Z", "updated_at": 1795204800},
        "b": {"name": "y"}, "c": "no record", "d": ["x", "y"],
    }  # fmt: skip
    rtdb.database.put(place(node_town, "workspace", "notes"), nodes_of)
    at = 1795204800000
    assert data(node_town.viewer.get(f"{NOTES}?sort=id&order=asc")) == [
        {"id": "a", "name": "x", "created_at": at, "updated_at": at}, {"id": "b", "name": "y"},
        {"id": "d", "0": "x", "1": "y"}]  # fmt: skip
    assert refusal(node_town.viewer.get(f"{NOTES}/c")) == (404, "NOT_FOUND")
    changed = data(node_town.member.call(f"PATCH {NOTES}/b", {"z": 1}))
    assert set(changed) == {"id", "name", "z", "updated_at"}


def test_a_write_that_came_in_between_is_seen_and_not_lost(
    node_town: Town, rtdb: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    data(node_town.member.post(NOTES, {"id": "one", "n": 1}), 201)
    node, tagged, others = place(node_town, "workspace", "notes", "one"), rest.Rest.tagged, iter(range(2))

    def interrupted(self: rest.Rest, path: str) -> Any:
        found = tagged(self, path)
        if (other := next(others, None)) is not None:
            rtdb.database.put((*node, "theirs"), other)
        return found

    monkeypatch.setattr(rest.Rest, "tagged", interrupted)
    found = data(node_town.member.call(f"PATCH {NOTES}/one", {"n": 2}))
    assert (found["n"], found["theirs"]) == (2, 1)


def test_where_others_write_again_and_again_it_is_said(
    node_town: Town, rtdb: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    data(node_town.member.post(NOTES, {"id": "one", "n": 1}), 201)
    node, tagged = place(node_town, "workspace", "notes", "one"), rest.Rest.tagged

    def interrupted(self: rest.Rest, path: str) -> Any:
        found = tagged(self, path)
        rtdb.database.put((*node, "theirs"), time.perf_counter())
        return found

    monkeypatch.setattr(rest.Rest, "tagged", interrupted)
    monkeypatch.setattr(nodes, "PAUSE_SECONDS", 0.001)
    for line, body in ((f"PATCH {NOTES}/one", {"n": 2}), (f"DELETE {NOTES}/one", None)):
        assert refusal(node_town.member.call(line, body)) == (409, "CONFLICT")
    assert rtdb.database.get((*node, "n")) == 1


ASKED: list[tuple[str, Any]] = [
    (f"GET {NOTES}", None), (f"GET {NOTES}/one", None), (f"POST {NOTES}", {"a": 1}), (f"PATCH {NOTES}/one", {"a": 1}),
    (f"DELETE {NOTES}/one", None), (f"GET {SETTINGS}", None), (f"PUT {SETTINGS}/a", 1), (f"PATCH {SETTINGS}", {"a": 1}),
    ("GET /api/v1/finance/daily-stats", None), (f"GET {BOTS}/one/lifecycle", None),
    (f"POST {BOTS}/one/lifecycle/transition", {"to": "starting"}),
]  # fmt: skip


@pytest.fixture
def behind(rtdb: Server) -> Any:
    with Relay("127.0.0.1", rtdb.server_address[1]) as relay:
        yield relay


def unavailable(town: Town, line: str, body: Any, secret: str) -> None:
    answer = town.admin.call(line, body)
    assert refusal(answer) == (503, "SERVICE_UNAVAILABLE") and answer.headers["Retry-After"]
    assert secret not in answer.text


def test_a_store_that_is_down_is_503_and_everything_else_goes_on(
    in_rtdb: dict[str, str], behind: Relay, rtdb: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    # An HTTP client left to itself would write every request's line at DEBUG, in which the secret is.
    given = {"RTDB_URL": f"http://127.0.0.1:{behind.port}", "LOG_LEVEL": "DEBUG"}
    with running(Settings.parse(in_rtdb | given)) as app:
        town = Town.found(app)
        data(town.admin.post(NOTES, {"id": "one"}), 201)
        behind.stop()
        for line, body in ASKED:
            unavailable(town, line, body, rtdb.secret)
        assert data(town.admin.get("/api/v1/projects")) == []
        behind.start()
        assert data(town.admin.get(f"{NOTES}/one"))["id"] == "one"
    said = capsys.readouterr().err
    assert "of no use" in said and rtdb.secret not in said


def test_a_store_that_hangs_is_503_before_long(
    in_rtdb: dict[str, str], behind: Relay, rtdb: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "READ_SECONDS", 0.3)
    with running(Settings.parse(in_rtdb | {"RTDB_URL": f"http://127.0.0.1:{behind.port}"})) as app:
        town = Town.found(app)
        behind.hang()
        began = time.monotonic()
        unavailable(town, f"GET {NOTES}", None, rtdb.secret)
        assert time.monotonic() - began < 3


def test_a_secret_that_is_wrong_is_503_too(in_rtdb: dict[str, str]) -> None:
    with running(Settings.parse(in_rtdb | {"RTDB_SECRET": "another-secret"})) as app:
        town = Town.found(app)
        for line, body in ASKED:
            unavailable(town, line, body, "another-secret")


@pytest.mark.parametrize("answer", [b"<html>", b"", b'{"cut": '])
def test_an_answer_that_is_none_is_503(node_town: Town, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    asked = rest.Rest._ask

    def other(self: rest.Rest, method: str, path: str, **more: Any) -> Any:
        found = asked(self, method, path, **more)
        return type(found)(found.status, found.etag, answer)

    monkeypatch.setattr(rest.Rest, "_ask", other)
    assert refusal(node_town.viewer.get(NOTES)) == (503, "SERVICE_UNAVAILABLE")


def test_nothing_of_it_is_loaded_where_it_is_not_used(environment: dict[str, str]) -> None:
    program = (
        "import sys; from webapp import create_app; create_app();"
        "sys.exit(str([name for name in sys.modules if name in ('webapp.records.rest', 'webapp.records.nodes')]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=inherited(**environment),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.strip() == "[]", done.stderr


def test_what_is_made_stays_when_the_other_tenants_all_go(
    node_town: Town, apps: dict[str, Flask], rtdb: Server
) -> None:
    other = Town.found(apps["rtdb"])
    for town in (node_town, other):
        data(town.member.post(NOTES, {"id": "one", "of": str(town.tenant)}), 201)
    data(other.member.call(f"DELETE {NOTES}/one"))
    assert rtdb.database.get(place(other)) is None
    assert data(node_town.viewer.get(f"{NOTES}/one"))["of"] == str(node_town.tenant)
