"""`kill -9` at every point of a switch and of a revert: who led leads on, writes go on, and it can be run again.

A command is held where it is to be killed: at a request to the Realtime Database while writes are frozen (it carries
over, proves, or carries back), or at a statement of PostgreSQL's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.api.cutover.steps.conftest import Installation
from tests.api.machines import until
from tests.api.people import Town

NOTES = "/api/v1/workspace/notes"
# Of what is to be killed. Seconds.
FREEZE = 6
SWITCH, REVERT = ("switch", "--without-shadow", "a test"), ("revert",)
# The table, and which of its rows; the statement that writes one waits.
AT_STATEMENTS = {
    "the freeze begins": ("cutover_events", "NEW.words = 'writes are frozen'"),
    "the rehearsal writes": ("records", "NEW.body ->> 'name' = 'rehearsal'"),
    "it is confirmed": ("cutover_events", "NEW.words IN ('switched', 'reverted')"),
}
_HOLD = """
CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {condition} THEN PERFORM pg_sleep(60); END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER held BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION held();
"""
_HELD = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
_CONNECTED = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'moorage cutover'"
# What is waited for comes within a second on a machine with nothing else to do.
SOON = 30


@contextmanager
def held_at_statement(its: Installation, place: str) -> Iterator[Callable[[], bool]]:
    """Whether the command has come there."""
    table, condition = AT_STATEMENTS[place]
    with its.sql() as sql:
        sql.execute(_HOLD.format(table=table, condition=condition))
        try:
            yield lambda: sql.execute(_HELD).fetchone() != (0,)
        finally:
            # Its server process sleeps on, and holds the table.
            sql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
            sql.execute(f"DROP TRIGGER held ON {table}; DROP FUNCTION held()")


@contextmanager
def held_at_request(its: Installation, number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], bool]]:
    """The same for the so manieth request that comes while writes are frozen."""
    seen, there, over = [0], threading.Event(), threading.Event()
    lock = threading.Lock()
    asked = its.rtdb.serving

    def serving(method: str, path: str) -> None:
        asked(method, path)
        if its.rtdb.frozen():
            with lock:
                seen[0] += 1
                mine = seen[0]
            if mine == number:
                there.set()
                over.wait(60)

    with its.sql() as sql:
        monkeypatch.setattr(its.rtdb, "frozen", lambda: _frozen(sql), raising=False)
        monkeypatch.setattr(its.rtdb, "serving", serving)
        try:
            yield there.is_set
        finally:
            over.set()
            monkeypatch.undo()


def _frozen(sql: psycopg.Connection) -> bool:
    return sql.execute("SELECT frozen_until IS NOT NULL FROM record_gate").fetchone() == (True,)


@pytest.fixture
def holding(its: Installation, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | int], object]:
    def hold(place: str | int) -> object:
        return held_at_statement(its, place) if isinstance(place, str) else held_at_request(its, place, monkeypatch)

    return hold


def killed(its: Installation, words: tuple[str, ...], hold: object) -> None:
    """The command begins, comes to where it is held, and is killed there."""
    with hold as come:  # type: ignore[attr-defined]
        command = its.command(*words, "--freeze", f"{FREEZE}")
        try:
            until(lambda: come() or command.process.exitcode is not None, SOON)
            assert command.process.exitcode is None, command.said
        finally:
            command.kill()
    # What the server had been told before it knew of the end is over as well.
    with its.sql() as sql:
        until(lambda: sql.execute(_CONNECTED).fetchone() == (0,), SOON)


def writes_go_on(town: Town, title: str) -> None:
    """Within the freeze's time, with nobody's help."""
    end = time.monotonic() + FREEZE + 10
    while (done := town.admin.call(f"PATCH {NOTES}/note-1", {"title": title})).status_code == 503:
        assert done.json["error"]["code"] == "WRITES_FROZEN" and time.monotonic() < end
        time.sleep(0.1)
    assert done.status_code == 200, done.json


def title_of(town: Town) -> str:
    title: str = town.admin.get(f"{NOTES}/note-1").json["data"]["title"]
    return title


@pytest.mark.parametrize("place", ["the freeze begins", 1, 9, 17, "the rehearsal writes", "it is confirmed"])
def test_a_switch_that_is_killed_leaves_the_leader_and_runs_again(
    its: Installation, town: Town, shadowed: Callable[[], None], holding: Callable[..., object], place: str | int
) -> None:
    shadowed()
    killed(its, SWITCH, holding(place))
    assert its.does("status")["leader"] == "rtdb"
    writes_go_on(town, "after the kill")
    assert its.does(*SWITCH)["state"] == "observing"
    assert its.does("status")["leader"] == "supabase" and title_of(town) == "after the kill"


@pytest.mark.parametrize("place", ["the freeze begins", 1, 9, 17, "it is confirmed"])
def test_a_revert_that_is_killed_leaves_the_leader_and_runs_again(
    its: Installation, town: Town, shadowed: Callable[[], None], holding: Callable[..., object], place: str | int
) -> None:
    shadowed()
    its.does(*SWITCH)
    writes_go_on(town, "since the switch")
    killed(its, REVERT, holding(place))
    assert its.does("status")["leader"] == "supabase" and title_of(town) == "since the switch"
    writes_go_on(town, "after the kill")
    assert its.does(*REVERT)["state"] == "reverted"
    assert its.does("status")["leader"] == "rtdb" and title_of(town) == "after the kill"


def test_a_freeze_that_ends_before_the_switch_goes_back(
    its: Installation, town: Town, shadowed: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shadowed()
    with held_at_request(its, 3, monkeypatch) as come:
        command = its.command(*SWITCH, "--freeze", "1")
        until(come, SOON)
        time.sleep(1.5)
        writes_go_on(town, "meanwhile")
    assert command.wait() == 1 and "FREEZE_ENDED" in command.said
    assert its.does("status")["leader"] == "rtdb" and title_of(town) == "meanwhile"


def test_of_two_at_once_the_second_is_refused(
    its: Installation, town: Town, shadowed: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shadowed()
    with held_at_request(its, 1, monkeypatch) as come:
        first = its.command(*SWITCH)
        until(come, SOON)
        assert "CUTOVER_RUNNING" in its.refuses(*SWITCH) and "CUTOVER_RUNNING" in its.refuses("abandon")
    assert first.wait() == 0, first.said


def test_a_writer_who_was_let_in_is_waited_for(
    its: Installation, town: Town, shadowed: Callable[[], None]
) -> None:
    shadowed()
    with its.sql() as sql, sql.transaction():
        sql.execute("SELECT pg_advisory_xact_lock_shared(%s)", (0x6D6F6F77,))
        command = its.command(*SWITCH)
        until(lambda: "frozen: " in command.said, SOON)
        time.sleep(0.5)
        assert command.process.exitcode is None and "proved" not in command.said
        assert town.admin.post(NOTES, {"title": "later"}).status_code == 503
    assert command.wait() == 0, command.said
