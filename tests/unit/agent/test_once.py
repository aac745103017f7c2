"""A command takes effect once, whatever the line does; and the server's clock alone says whether it is too late."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from agent.commands import Outcome, succeeded
from agent.journal import Journal
from agent.pace import Pace, ServerClock, http_date, timestamp
from tests.unit.agent.conftest import Running, command
from tests.unit.agent.plane import Plane
from tests.unit.agent.serving import until

Start = Callable[..., Running]


@pytest.mark.parametrize("transport", ["socket", "poll"])
def test_a_command_handed_out_twice_runs_once_and_is_answered_twice(plane: Plane, run: Start, transport: str) -> None:
    running = run(transport=transport)
    plane.send("c1", "proxmox.start", vmid=1)
    first = until(lambda: plane.outcome("c1"))
    plane.send("c1", "proxmox.start", vmid=1)
    until(lambda: len(plane.outcomes["c1"]) == 2)
    assert running.ran == ["c1"] and plane.outcomes["c1"][1]["result"] == first["result"]


def test_a_command_handed_out_again_while_it_runs_is_acknowledged_again(plane: Plane, run: Start) -> None:
    go = threading.Event()

    def effect(*_: object) -> Outcome:
        go.wait(10)
        return succeeded({}, reads_only=False)

    running = run(effect)
    plane.send("c1", "proxmox.start")
    until(lambda: running.ran)
    plane.send("c1", "proxmox.start")
    until(lambda: plane.acks == ["c1", "c1"])
    go.set()
    until(lambda: plane.outcome("c1"))
    assert running.ran == ["c1"]


def test_a_result_that_found_no_line_is_told_after_the_reconnect(plane: Plane, run: Start) -> None:
    def effect(*_: object) -> Outcome:
        plane.hang_up(1012)
        return succeeded({"done": True}, reads_only=False)

    running = run(effect)
    plane.send("c1", "proxmox.start")
    assert until(lambda: plane.outcome("c1"))["result"] == {"done": True}
    assert running.ran == ["c1"]


def test_a_command_whose_acknowledgement_was_lost_runs_after_the_reconnect(plane: Plane, run: Start) -> None:
    plane.silent = {"agent.command.ack"}
    running = run()
    plane.send("c1", "proxmox.start")
    until(lambda: [frame for frame in plane.frames if frame["type"] == "agent.command.ack"])
    assert running.ran == [], "nothing runs before the server knows"
    plane.silent = set()
    plane.hang_up(1012)
    until(lambda: plane.outcome("c1"))
    assert running.ran == ["c1"]


def test_a_command_that_is_no_longer_wanted_is_not_run(plane: Plane, run: Start) -> None:
    plane.unwanted = {"c1"}
    running = run()
    plane.send("c1", "proxmox.start")
    plane.send("c2", "proxmox.start")
    until(lambda: plane.outcome("c2"))
    assert running.ran == ["c2"] and running.journal.accepted() == []


def test_four_commands_run_at_once_and_a_fifth_waits(plane: Plane, run: Start) -> None:
    go = threading.Event()

    def effect(*_: object) -> Outcome:
        go.wait(10)
        return succeeded({}, reads_only=False)

    running = run(effect)
    for number in range(6):
        plane.send(f"c{number}", "proxmox.start")
    until(lambda: len(running.ran) == 4)
    assert running.journal.counts().begun == 4
    go.set()
    until(lambda: len(plane.outcomes) == 6)
    assert sorted(running.ran) == [f"c{number}" for number in range(6)]


def test_a_stopped_agent_says_at_its_next_start_what_became_of_its_command(plane: Plane, run: Start) -> None:
    journal = Journal(_folder(run) / "journal.sqlite3")
    journal.accept(command(1))
    journal.accept(command(2, "again.status"))
    journal.begin("c1")
    journal.begin("c2")
    journal.close()
    running = run()
    assert "AGENT_INTERRUPTED" in until(lambda: plane.outcome("c1"))["error_message"]
    assert until(lambda: plane.outcome("c2"))["status"] == "succeeded"
    assert running.ran == ["c2"]


def _folder(run: Start) -> object:
    first = run()
    first.stop()
    return first.credentials.folder


@pytest.mark.parametrize("transport", ["socket", "poll"])
@pytest.mark.parametrize("skew", [-600, 0, 600])
def test_ten_minutes_of_clock_skew_change_no_decision(plane: Plane, run: Start, skew: float, transport: str) -> None:
    """The server's clock is shifted, which to an agent is the same as its own clock being wrong."""
    plane.skew = skew
    running = run(transport=transport)
    plane.send("late", "proxmox.start", lives=-5)
    plane.send("early", "proxmox.start", lives=30)
    assert until(lambda: plane.outcome("early"))["status"] == "succeeded"
    assert running.ran == ["early"]
    if transport == "socket":
        assert until(lambda: plane.outcome("late"))["status"] == "expired"


def test_the_servers_clock_is_carried_on_by_durations() -> None:
    class Still(Pace):
        moment = 100.0

        def now(self) -> float:
            return self.moment

    pace = Still()
    clock = ServerClock(pace)
    assert clock.now() is None and not clock.is_past(0)
    clock.heard(5000.0)
    pace.moment += 60
    assert clock.now() == 5060.0 and clock.is_past(5060.0) and not clock.is_past(5061.0) and not clock.is_past(None)


def test_times_that_are_none_are_none() -> None:
    assert timestamp("2026-11-20T20:00:00.000Z") == 1795204800.0
    assert timestamp("2026-11-20T20:00:00") is None and timestamp("soon") is None and timestamp(7) is None
    assert http_date("Fri, 20 Nov 2026 20:00:00 GMT") == 1795204800.0 and http_date("soon") is None
