"""A server whose database is away refuses frames for now: they are sent again, and nothing is thrown away."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from tests.unit.agent.conftest import Running
from tests.unit.agent.plane import Plane
from tests.unit.agent.serving import until

Start = Callable[..., Running]
ACK, RESULT = "agent.command.ack", "agent.command.result"


def sent(plane: Plane, kind: str) -> list[dict[str, Any]]:
    return [frame for frame in plane.frames if frame["type"] == kind]


def test_a_result_that_the_server_cannot_keep_now_is_sent_again_on_the_same_connection(
    plane: Plane, run: Start
) -> None:
    plane.down = {RESULT}
    running = run()
    plane.send("c1", "proxmox.start", vmid=1)
    until(lambda: len(sent(plane, RESULT)) == 2)
    assert running.journal.untold(), "it is the journal's until the server has it"
    plane.down = set()
    assert until(lambda: plane.outcome("c1"))["result"] == {"echo": {"vmid": 1}}
    until(lambda: not running.journal.untold())
    said = [{name: value for name, value in one.items() if name != "request_id"} for one in sent(plane, RESULT)]
    assert said == said[:1] * len(said) and running.ran == ["c1"] and len(plane.sockets) == 1


def test_a_frame_is_sent_again_with_pauses_that_grow(plane: Plane, run: Start) -> None:
    plane.down, moments = {RESULT}, []
    run()
    plane.send("c1", "proxmox.start")
    for number in range(1, 4):
        until(lambda number=number: len(sent(plane, RESULT)) >= number)
        moments.append(time.monotonic())
    assert all(later - sooner > 0.9 for sooner, later in itertools.pairwise(moments))


def test_a_command_whose_acknowledgement_cannot_be_kept_now_runs_later_and_not_before(
    plane: Plane, run: Start
) -> None:
    plane.down = {ACK}
    running = run()
    plane.send("c1", "proxmox.start")
    until(lambda: len(sent(plane, ACK)) == 2)
    assert running.ran == [], "nothing runs before the server knows"
    plane.down = set()
    until(lambda: plane.outcome("c1"))
    assert running.ran == ["c1"]


def test_what_waits_to_be_sent_again_goes_by_the_next_connection_where_this_one_ends(plane: Plane, run: Start) -> None:
    plane.down = {RESULT}
    running = run()
    plane.send("c1", "proxmox.start")
    until(lambda: sent(plane, RESULT))
    plane.down = set()
    plane.hang_up(1012)
    until(lambda: plane.outcome("c1"))
    assert running.ran == ["c1"]


def test_an_agent_that_waits_to_send_again_stops_at_once_and_tells_after_its_next_start(
    plane: Plane, run: Start
) -> None:
    plane.down = {RESULT}
    first = run()
    plane.send("c1", "proxmox.start")
    until(lambda: len(sent(plane, RESULT)) == 2)
    began = time.monotonic()
    first.stop()
    assert time.monotonic() - began < 2 and not first.thread.is_alive()
    plane.down = set()
    second = run()
    assert until(lambda: plane.outcome("c1"))["status"] == "succeeded"
    assert second.ran == []
