"""Both stores are written, and asked the same: what differs is seen, and the leader's answer is what clients get."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.api.cutover.steps.conftest import Installation
from tests.api.people import Town
from webapp import metrics

NOTES = "/api/v1/workspace/notes"


def differences(its: Installation) -> list[tuple[Any, ...]]:
    with its.sql() as sql:
        return sql.execute("SELECT verb, collection, record_id, reason FROM record_shadow_differences").fetchall()


def row(its: Installation, record_id: str) -> Any:
    with its.sql() as sql:
        found = sql.execute("SELECT body FROM records WHERE id = %s", (record_id,)).fetchone()
        return found and found[0]


@pytest.fixture
def shadowing(its: Installation, town: Town) -> Town:
    its.does("begin")
    its.does("shadow")
    return town


def test_writes_reach_both_and_reads_are_alike(its: Installation, shadowing: Town) -> None:
    admin = shadowing.admin
    assert admin.post(NOTES, {"id": "both", "title": "one", "tags": [], "none": {}}).status_code == 201
    assert row(its, "both") == {"title": "one", "tags": [], "none": {}}
    assert admin.call(f"PATCH {NOTES}/both", {"title": "two"}).status_code == 200
    assert row(its, "both")["title"] == "two"
    assert admin.post("/api/v1/bots/bot-1/lifecycle/transition", {"to": "starting"}).status_code == 200
    assert row(its, "bot-1")["lifecycle"]["state"] == "starting"
    assert admin.call("PATCH /api/v1/settings/ui", {"size": 2}).status_code == 200
    assert row(its, "tree") == {"ui": {"theme": "dark", "size": 2}}
    operation = {"type": "income", "amount": 12.5, "currency": "EUR", "date": "2026-11-20"}
    assert admin.post("/api/v1/finance/operations", operation).status_code == 201
    for path in (f"{NOTES}/both", f"{NOTES}?sort=id", f"{NOTES}?q=note", "/api/v1/settings", "/api/v1/bots/bot-1",
                 "/api/v1/finance/daily-stats?from=2026-11-19&to=2026-11-21", f"{NOTES}/nowhere"):  # fmt: skip
        assert admin.get(path).status_code in {200, 404}
    assert admin.call(f"DELETE {NOTES}/both").status_code == 200
    assert row(its, "both") is None and differences(its) == []
    assert its.does("status")["shadow"]["reads"] >= 1


def test_what_differs_is_seen_and_the_leader_is_believed(its: Installation, shadowing: Town) -> None:
    before = metrics.shadow_reads.labels("differs")._value.get()
    with its.sql() as sql:
        sql.execute("""UPDATE records SET body = '{"title": "other"}' WHERE id = 'note-1'""")
    assert shadowing.admin.get(f"{NOTES}/note-1").json["data"]["title"] == "Note 1"
    assert shadowing.admin.get(f"{NOTES}/note-2").status_code == 200
    assert differences(its) == [("get", "workspace/notes", "note-1", "differs")]
    assert metrics.shadow_reads.labels("differs")._value.get() == before + 1
    assert its.does("status")["shadow"]["differences"] == 1
    # A write puts it right.
    assert shadowing.admin.call(f"PATCH {NOTES}/note-1", {"title": "again"}).status_code == 200
    assert row(its, "note-1")["title"] == "again"


def test_a_follower_that_refuses_costs_the_client_nothing(its: Installation, shadowing: Town) -> None:
    with its.sql() as sql:
        sql.execute("ALTER TABLE records ADD CONSTRAINT small CHECK (body ->> 'title' <> 'large') NOT VALID")
    try:
        assert shadowing.admin.post(NOTES, {"id": "l", "title": "large"}).status_code == 201
    finally:
        with its.sql() as sql:
            sql.execute("ALTER TABLE records DROP CONSTRAINT small")
    assert row(its, "l") is None
    assert differences(its) == [("create", "workspace/notes", "l", "IntegrityError")]
    assert shadowing.admin.get(f"{NOTES}/l").json["data"]["title"] == "large"


def test_two_who_write_one_record_leave_the_same_in_both(its: Installation, shadowing: Town) -> None:
    people = [shadowing.person("member", f"writer-{n}") for n in range(4)]

    def write(n: int) -> None:
        for turn in range(8):
            done = people[n].call(f"PATCH {NOTES}/note-1", {"title": f"{n}.{turn}", f"by{n}": turn})
            assert done.status_code == 200, done.json

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    led = shadowing.admin.get(f"{NOTES}/note-1").json["data"]
    assert {name: value for name, value in led.items() if name not in {"id", "created_at", "updated_at"}} == row(
        its, "note-1"
    )
    assert [led[f"by{n}"] for n in range(4)] == [7, 7, 7, 7] and differences(its) == []


def test_shadowing_ends_and_what_was_seen_is_forgotten(its: Installation, shadowing: Town) -> None:
    with its.sql() as sql:
        sql.execute("UPDATE records SET body = '{}' WHERE id = 'note-1'")
    shadowing.admin.get(f"{NOTES}/note-1")
    assert len(differences(its)) == 1
    assert its.does("shadow", "--off")["state"] == "syncing"
    assert shadowing.admin.post(NOTES, {"id": "alone", "title": "x"}).status_code == 201
    assert row(its, "alone") is None and differences(its) == []
