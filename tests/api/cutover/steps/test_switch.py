"""A whole cutover, there and back, while clients read and write."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.api.cutover.steps.conftest import Installation
from tests.api.people import Town

NOTES = "/api/v1/workspace/notes"
WITHOUT = ("--without-shadow", "a test")


class Clients:
    """One that creates, changes and deletes notes, and one that reads: what each was answered."""

    def __init__(self, town: Town) -> None:
        self._town, self._over = town, threading.Event()
        self.written: dict[str, str | None] = {}
        self.frozen = self.reads = 0
        self.faults: list[str] = []
        self._threads = [threading.Thread(target=work) for work in (self._write, self._read)]

    def _write(self) -> None:
        person, n = self._town.person("member", "writer"), 0
        while not self._over.is_set():
            n += 1
            name = f"live-{n % 40}"
            known = self.written.get(name)
            if name not in self.written or known is None:
                done = person.post(NOTES, {"id": name, "title": f"v{n}"})
                then: str | None = f"v{n}"
            elif n % 5 == 0:
                done, then = person.call(f"DELETE {NOTES}/{name}"), None
            else:
                done, then = person.call(f"PATCH {NOTES}/{name}", {"title": f"v{n}"}), f"v{n}"
            if done.status_code == 503 and done.json["error"]["code"] == "WRITES_FROZEN":
                assert 1 <= int(done.headers["Retry-After"]) <= 10
                self.frozen += 1
                time.sleep(0.05)
            elif done.status_code in (200, 201):
                self.written[name] = then
            else:
                self.faults.append(f"{name}: {done.status_code} {done.text}")

    def _read(self) -> None:
        person = self._town.person("viewer", "reader")
        while not self._over.is_set():
            for path in (f"{NOTES}/note-1", "/api/v1/settings/ui", "/api/v1/bots/bot-1"):
                done = person.get(path)
                self.reads += 1
                if done.status_code != 200:
                    self.faults.append(f"{path}: {done.status_code} {done.text}")

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self.end()


def held(town: Town) -> dict[str, str]:
    """The live notes as the leader has them."""
    found = town.admin.get(f"{NOTES}?limit=200").json["data"]
    return {one["id"]: one["title"] for one in found if one["id"].startswith("live-")}


def alive(written: dict[str, str | None]) -> dict[str, str]:
    return {name: title for name, title in written.items() if title is not None}


def test_it_goes_over_and_back_and_no_acknowledged_write_is_lost(
    its: Installation, town: Town, shadowed: Callable[[], None]
) -> None:
    clients = Clients(town)
    with clients.at_work():
        time.sleep(1)
        shadowed()
        time.sleep(1)
        assert its.does("switch", *WITHOUT)["state"] == "observing"
        time.sleep(1)
        led = its.does("status")
        clients.end()
    assert clients.faults == [] and clients.reads > 20
    assert led["leader"] == "supabase" and led["events"][-1]["facts"]["frozen_seconds"] < 60
    assert held(town) == alive(clients.written)
    back = Clients(town)
    back.written = dict(clients.written)
    with back.at_work():
        time.sleep(1)
        assert its.does("revert")["state"] == "reverted"
        time.sleep(1)
    assert back.faults == [] and its.does("status")["leader"] == "rtdb"
    assert held(town) == alive(back.written)
    assert town.admin.get(f"{NOTES}/note-3").json["data"]["tags"] == []
    assert town.admin.get("/api/v1/settings").json["data"] == {"ui": {"theme": "dark"}}


def test_writes_are_frozen_while_reads_are_answered_and_thaw_by_themselves(its: Installation, town: Town) -> None:
    its.does("begin")
    with its.sql() as sql:
        sql.execute("UPDATE record_gate SET frozen_until = clock_timestamp() + interval '5 seconds'")
    refused = town.admin.post(NOTES, {"title": "now"})
    assert refused.status_code == 503 and refused.json["error"]["code"] == "WRITES_FROZEN"
    assert 1 <= int(refused.headers["Retry-After"]) <= 5
    assert town.admin.call("PATCH /api/v1/settings/ui", {"theme": "light"}).status_code == 503
    assert town.admin.get(f"{NOTES}/note-1").status_code == 200
    time.sleep(5)
    assert town.admin.post(NOTES, {"title": "now"}).status_code == 201


def test_without_the_evidence_of_shadowing_nothing_is_begun(its: Installation, town: Town) -> None:
    assert "NO_CUTOVER" in its.refuses("switch")
    its.does("begin")
    assert "CUTOVER_OPEN" in its.refuses("begin")
    assert "SHADOW_TOO_SHORT" in its.refuses("switch")
    its.does("shadow")
    assert "0 reads were alike" in its.refuses("switch", "--shadow-reads", "1")
    assert "STEP_REFUSED" in its.refuses("revert")
    for _ in range(20):
        assert town.admin.get(f"{NOTES}/note-1").status_code == 200
        assert town.admin.get("/api/v1/bots/bot-1").status_code == 200
    time.sleep(1.1)
    assert town.admin.get(f"{NOTES}/note-1").status_code == 200
    assert its.does("switch", "--shadow-reads", "40")["state"] == "observing"


def test_a_difference_goes_back_and_writes_go_on(
    its: Installation, town: Town, shadowed: Callable[[], None]
) -> None:
    old = ("prod", "tenants", str(town.tenant), "workspace", "notes", "old")
    its.rtdb.database.put(old, {"title": "as it was", "updated_at": 1_700_000_000_000})
    shadowed()
    # What no synchronisation sees: somebody else's hand, that left the record's time as it was.
    its.rtdb.database.put((*old, "title"), "other")
    assert "PARITY_FAILED" in its.refuses("switch", *WITHOUT)
    now = its.does("status")
    assert now["state"] == "shadowing" and now["leader"] == "rtdb" and now["frozen_seconds"] == 0
    assert town.admin.post(NOTES, {"title": "on"}).status_code == 201
    # With a reason it may differ: there, and on the way back, where nobody has to give it again.
    its.does("switch", *WITHOUT, "--tolerate", "workspace/notes.title=nobody shows it")
    its.does("revert")
    assert its.does("status")["verdict"]["tolerated"] == {"workspace/notes.title": "nobody shows it"}


def test_abandoned_it_is_as_it_was(its: Installation, town: Town, shadowed: Callable[[], None]) -> None:
    shadowed()
    assert its.does("abandon")["state"] == "abandoned"
    made = town.admin.post(NOTES, {"title": "later"}).json["data"]["id"]
    with its.sql() as sql:
        assert sql.execute("SELECT count(*) FROM records WHERE id = %s", (made,)).fetchone() == (0,)
    assert "NO_CUTOVER" in its.refuses("switch")
    its.does("begin")


@pytest.mark.parametrize("table", ["record_gate", "cutover_runs", "cutover_events"])
def test_who_answers_requests_moves_nothing(its: Installation, town: Town, table: str) -> None:
    its.does("begin")
    with its.sql() as sql:
        sql.execute(f"SET ROLE {its.settings.database_url.user}")
        seen = sql.execute(f"SELECT count(*) FROM {table}").fetchone()
        column = "leader = 'supabase'" if table == "record_gate" else "state = 'finished'"
        assert sql.execute(f"UPDATE {table} SET {column}").rowcount == 0
        assert sql.execute(f"DELETE FROM {table}").rowcount == 0
    assert seen == (1 if table == "record_gate" else 0,)
