"""The socket, what ends it, and polling where there is none."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from agent.commands import MOST_RESULT_BYTES, succeeded
from agent.failures import Stopped
from agent.pace import Backoff
from tests.unit.agent.conftest import Running
from tests.unit.agent.plane import Plane
from tests.unit.agent.serving import refusal, until

Start = Callable[..., Running]


@pytest.mark.parametrize("transport", ["socket", "poll"])
def test_a_command_is_acknowledged_run_and_its_result_told(plane: Plane, run: Start, transport: str) -> None:
    running = run(transport=transport)
    plane.send("c1", "proxmox.start", vmid=100)
    outcome = until(lambda: plane.outcome("c1"))
    assert outcome["status"] == "succeeded" and outcome["result"] == {"echo": {"vmid": 100}}
    assert plane.acks == ["c1"] and running.ran == ["c1"]


def test_heartbeats_carry_what_the_agent_is_doing(plane: Plane, run: Start) -> None:
    run()
    beat = until(lambda: next((frame for frame in plane.frames if frame["type"] == "heartbeat"), None))
    assert beat["agent_id"] == "a1" and {"version", "at_work", "untold"} <= set(beat["metadata"])


def test_a_result_of_the_greatest_size_fits_into_a_frame(plane: Plane, run: Start) -> None:
    text = "x" * (MOST_RESULT_BYTES - 20)
    run(lambda command, progress: succeeded({"text": text}, reads_only=True))
    plane.send("c1", "proxmox.list-vms")
    assert until(lambda: plane.outcome("c1"))["result"] == {"text": text}


def test_progress_reaches_the_server(plane: Plane, run: Start) -> None:
    def effect(command: object, progress: Callable[[int, str], None]) -> object:
        progress(40, "halfway, nearly")
        return succeeded({}, reads_only=False)

    run(effect)
    plane.send("c1", "proxmox.clone")
    until(lambda: plane.outcome("c1"))
    [told] = [frame for frame in plane.frames if frame["type"] == "agent.command.progress"]
    assert (told["progress"], told["message"], told["command_id"]) == (40, "halfway, nearly", "c1")


@pytest.mark.parametrize("code", [1012, 1011, 1006])
def test_the_agent_comes_back_after_a_close(plane: Plane, run: Start, code: int) -> None:
    running = run()
    until(lambda: plane.sockets)
    if code == 1006:
        plane.sockets[0].close_socket()
    else:
        plane.hang_up(code)
    plane.send("c1", "proxmox.start")
    until(lambda: plane.outcome("c1"))
    assert running.ran == ["c1"]


def test_a_revoked_agent_is_refused_at_the_upgrade_and_stops(plane: Plane, run: Start) -> None:
    plane.upgrade = refusal(409, "AGENT_REVOKED")
    running = run()
    running.thread.join(10)
    [error] = running.ended
    assert isinstance(error, Stopped) and error.code == "AGENT_REVOKED" and error.exit_code == 3


def test_an_agent_that_is_revoked_while_connected_stops(plane: Plane, run: Start) -> None:
    running = run()
    until(lambda: plane.sockets)
    plane.refuses["/agents/heartbeat"] = refusal(409, "AGENT_REVOKED")
    plane.hang_up(1008)
    running.thread.join(10)
    assert [getattr(error, "code", error) for error in running.ended] == ["AGENT_REVOKED"]


def test_a_close_for_a_flood_does_not_end_the_agent(plane: Plane, run: Start) -> None:
    running = run()
    until(lambda: plane.sockets)
    plane.hang_up(1008)
    plane.send("c1", "proxmox.start")
    until(lambda: plane.outcome("c1"))
    assert running.ended == []


def test_a_dead_token_stops_the_agent_with_what_to_do(plane: Plane, run: Start) -> None:
    plane.tokens = ["another"]
    running = run()
    running.thread.join(10)
    [error] = running.ended
    assert isinstance(error, Stopped) and error.code == "TOKEN_INVALID" and "then pair" in error.words


@pytest.mark.parametrize("status", [502, 503, 429])
def test_a_server_that_is_down_is_tried_again(plane: Plane, run: Start, status: int) -> None:
    plane.upgrade = refusal(status, "SERVICE_UNAVAILABLE")
    running = run()
    until(lambda: running.agent._backoff.failures > 2)
    plane.upgrade = None
    plane.send("c1", "proxmox.start")
    until(lambda: plane.outcome("c1"))


def test_where_no_socket_is_possible_the_agent_polls(plane: Plane, run: Start) -> None:
    plane.upgrade = refusal(404, "NOT_FOUND")
    run()
    plane.send("c1", "proxmox.start")
    assert until(lambda: plane.outcome("c1"))["status"] == "succeeded"
    assert [call.path for call in plane.calls if call.method == "PATCH"] == ["/api/v1/vm-ops/commands/c1"] * 2
    assert "/api/v1/agents/heartbeat" in [call.path for call in plane.calls]


def test_a_revoked_agent_that_polls_stops(plane: Plane, run: Start) -> None:
    plane.refuses["/agents/heartbeat"] = refusal(409, "AGENT_REVOKED")
    running = run(transport="poll")
    running.thread.join(10)
    assert [getattr(error, "code", error) for error in running.ended] == ["AGENT_REVOKED"]


def test_an_agent_that_is_revoked_while_it_polls_says_so(plane: Plane, run: Start) -> None:
    running = run(transport="poll")
    until(lambda: [call for call in plane.calls if call.path.endswith("/commands/next")])
    # All else is dead: only the heartbeat still tells why.
    plane.refuses["/agents/heartbeat"] = refusal(409, "AGENT_REVOKED")
    plane.refuses["/vm-ops/commands/next"] = refusal(401, "TOKEN_INVALID")
    running.thread.join(40)
    assert [getattr(error, "code", error) for error in running.ended] == ["AGENT_REVOKED"]


def test_the_back_off_lies_between_one_second_and_a_doubling_ceiling() -> None:
    for seed in range(50):
        backoff = Backoff(random_source=random.Random(seed))
        waits = [backoff.next() for _ in range(12)]
        assert all(1 <= wait <= min(30, 2 ** (number + 1)) for number, wait in enumerate(waits))
        assert 0 < backoff.at_once() <= 1
        backoff.reset()
        assert backoff.next() <= 2
    spread = {round(Backoff(random_source=random.Random(seed)).next(), 2) for seed in range(200)}
    assert len(spread) > 50, "agents that lost one server must not come back together"
