"""The database goes away and comes back, processes stop: agents keep their sockets, or are told to come back."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

from tests.api.fleet import Fleeted, Line, enlist, on_line, order
from tests.api.people import Town, data
from tests.api.relay import Relay
from tests.api.serving.conftest import Serve
from tests.api.serving.peer import Peer

# What the service has to be well again within, once the database is back.
WELL_SECONDS = 5


@pytest.fixture
def agent(town: Town) -> Fleeted:
    return enlist(town)


def until_well(line: Line, town: Town, agent: Fleeted, seconds: float) -> Any:
    """A command's whole way, tried until it works."""
    end = time.monotonic() + seconds
    line.say(type="next_command", timeout_ms=20_000)
    made = order(town, agent)
    command = line.hear()["command"]
    assert command["id"] == made["id"] and time.monotonic() < end
    while line.about("result", made["id"], status="succeeded").get("status") != "succeeded":
        assert time.monotonic() < end
        time.sleep(0.1)
    return data(town.admin.get(f"/api/v1/vm-ops/commands/{made['id']}"))


def test_sockets_outlive_a_restart_of_the_database(
    serve: Serve, relays: tuple[Relay, Relay], town: Town, agent: Fleeted
) -> None:
    served = serve("sockets")
    with on_line(served.port, agent) as line:
        until_well(line, town, agent, 10)
        order(town, agent)
        held = line.next()["id"]
        relays[0].stop()
        refused = line.about("result", held, status="succeeded", result=1)
        assert (refused["type"], refused["code"]) == ("error", "SERVICE_UNAVAILABLE")
        assert line.ask(type="heartbeat")["type"] == "agent.heartbeat"
        assert served.get("/api/v1/vm-ops/commands")[0] == 401
        assert Peer(served.port, "/api/v1/agents/ws", token=agent.token).refused == 503
        line.say(type="next_command", timeout_ms=20_000)
        time.sleep(1)
        order(town, agent)  # by another way: no word of it reaches the process
        relays[0].start()
        began = time.monotonic()
        assert line.hear()["command"] is not None
        assert time.monotonic() - began < WELL_SECONDS, "whoever waits looks by itself after a gap"
        assert line.about("result", held, status="succeeded", result=1)["status"] == "succeeded"
        until_well(line, town, agent, WELL_SECONDS)


def test_an_agent_revoked_while_no_word_came_through_is_closed_afterwards(
    serve: Serve, relays: tuple[Relay, Relay], town: Town, agent: Fleeted
) -> None:
    served = serve("sockets")
    with on_line(served.port, agent) as line:
        relays[0].stop()
        data(town.admin.post(f"/api/v1/agents/{agent.id}/revoke"))
        relays[0].start()
        assert line.closed(WELL_SECONDS).code == 1008


@pytest.mark.parametrize("process", ["api", "sockets"])
def test_at_a_stop_agents_are_told_to_come_back(serve: Serve, town: Town, agent: Fleeted, process: str) -> None:
    served = serve(process)
    with on_line(served.port, agent) as line, on_line(served.port, agent) as busy:
        busy.say(type="next_command", timeout_ms=120_000)
        began = time.monotonic()
        served.popen.send_signal(signal.SIGTERM)
        assert {line.closed(3).code, busy.closed(3).code} == {1012}
        assert time.monotonic() - began < 3
    assert served.popen.wait(10) == 0


def test_streams_and_polls_do_not_delay_a_stop(serve: Serve, town: Town, agent: Fleeted) -> None:
    import http.client

    served = serve("sockets")
    stream = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    stream.request("GET", "/api/v1/vm-ops/events", headers=town.admin.headers)
    answer = stream.getresponse()
    poll = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    poll.request("GET", "/api/v1/vm-ops/commands/next?timeout_ms=60000", headers=agent.headers)
    time.sleep(0.5)
    began = time.monotonic()
    served.popen.send_signal(signal.SIGTERM)
    assert b'"data":null' in poll.getresponse().read(), "it is answered and comes again"
    answer.read()
    assert served.popen.wait(10) == 0
    assert time.monotonic() - began < 5
    for connection in (stream, poll):
        connection.close()
