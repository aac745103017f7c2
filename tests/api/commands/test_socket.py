"""The agents' socket, frame by frame, in a real sockets process; commands come from another one."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from wsproto.events import AcceptConnection

from tests.api.fleet import SOCKET, Fleeted, enlist, on_line, order, status_of
from tests.api.machines import until
from tests.api.people import Town, data
from tests.api.serving.conftest import Served
from tests.api.serving.peer import Peer

PATHS = pytest.mark.parametrize("path", ["/api/v1/agents/ws", "/ws/v1/agents/connect"])
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def agent(town: Town) -> Fleeted:
    return enlist(town)


@PATHS
def test_an_agent_is_greeted_on_both_paths(sockets: Served, agent: Fleeted, path: str) -> None:
    with Peer(sockets.port, path, token=agent.token) as peer:
        greeting = json.loads(str(peer.receive()))
    assert MOMENT.fullmatch(greeting.pop("ts"))
    assert greeting == {"type": "connected", "transport": "ws"}


@PATHS
def test_a_token_in_the_query_works_and_is_in_no_log(sockets: Served, agent: Fleeted, path: str) -> None:
    with Peer(sockets.port, f"{path}?agent_id={agent.id}&request_id=r1&token={agent.token}") as peer:
        assert json.loads(str(peer.receive()))["type"] == "connected"
        peer.close()
        peer.closed_within(3)
    time.sleep(0.2)
    assert agent.token not in sockets.output.read_text()


def test_who_may_not_enter_is_refused_before_the_upgrade(sockets: Served, town: Town, agent: Fleeted) -> None:
    assert Peer(sockets.port, SOCKET).refused == 401
    assert Peer(sockets.port, SOCKET, token="abc").refused == 401
    assert Peer(sockets.port, SOCKET, token=agent.token[:-2] + "xx").refused == 401
    assert Peer(sockets.port, SOCKET, token=town.admin.token).refused == 403
    assert Peer(sockets.port, f"{SOCKET}?agent_id={enlist(town).id}", token=agent.token).refused == 403


def test_a_socket_that_opens_puts_its_agent_on_line_at_once(sockets: Served, town: Town) -> None:
    agent = enlist(town, online=False)
    assert data(town.admin.get(f"/api/v1/agents/{agent.id}"))["status"] == "offline"
    with on_line(sockets.port, agent):
        assert data(town.admin.get(f"/api/v1/agents/{agent.id}"))["status"] == "active"


def test_a_heartbeat_is_answered_at_once_and_written_within_seconds(
    sockets: Served, town: Town, agent: Fleeted
) -> None:
    with on_line(sockets.port, agent) as line:
        answer = line.ask(type="heartbeat", status="busy", metadata={"load": 0.5}, request_id="h1")
        assert MOMENT.fullmatch(answer.pop("ts"))
        assert answer == {"type": "agent.heartbeat", "agent_id": agent.id, "status": "busy", "request_id": "h1"}
        end = time.monotonic() + 6
        while (shown := data(town.admin.get(f"/api/v1/agents/{agent.id}"))).get("metadata") != {"load": 0.5}:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert shown["reported_status"] == "busy"


def test_a_command_made_in_another_process_goes_its_whole_way(sockets: Served, town: Town, agent: Fleeted) -> None:
    with on_line(sockets.port, agent) as line:
        line.say(type="next_command", timeout_ms=5000, request_id="n1")
        made = order(town, agent, vmid=100)
        assert made["status"] == "queued" and made["result"] is made["started_at"] is made["completed_at"] is None
        assigned = line.hear()
        assert (assigned["type"], assigned["request_id"]) == ("agent.command.assigned", "n1")
        command = assigned["command"]
        assert command == {**made, "status": "dispatched"}
        assert (command["command_type"], command["payload"]) == ("proxmox.start", {"vmid": 100})

        acked = line.about("ack", command["id"])
        assert MOMENT.fullmatch(acked.pop("ts"))
        assert acked == {"type": "agent.command.ack", "command_id": command["id"], "agent_id": agent.id}
        assert status_of(town, command["id"]) == "running"
        assert line.about("progress", command["id"], progress=40, message="halfway")["type"] == "agent.command.progress"
        answer = line.about("result", command["id"], status="succeeded", result={"task": 1})
        assert (answer["type"], answer["status"]) == ("agent.command.result", "succeeded")
    shown = data(town.admin.get(f"/api/v1/vm-ops/commands/{command['id']}"))
    assert (shown["status"], shown["result"], shown["created_by"]) == ("succeeded", {"task": 1}, "admin-1")
    assert shown["queued_at"] <= shown["started_at"] <= shown["completed_at"]


def test_what_waits_is_handed_out_one_by_one_in_its_order(sockets: Served, town: Town, agent: Fleeted) -> None:
    made = [order(town, agent, n=n)["id"] for n in range(4)]
    with on_line(sockets.port, agent) as line:
        assert [line.next()["id"] for _ in made] == made
        began = time.monotonic()
        assert line.next(1000) is None
        assert 0.9 < time.monotonic() - began < 3


def test_two_sockets_of_an_agent_get_a_command_once(sockets: Served, town: Town, agent: Fleeted) -> None:
    with on_line(sockets.port, agent) as one, on_line(sockets.port, agent) as two:
        for line in (one, two):
            line.say(type="next_command", timeout_ms=1500)
        made = order(town, agent)
        commands = [line.hear()["command"] for line in (one, two)]
        assert [command["id"] for command in commands if command] == [made["id"]]


def test_a_second_question_answers_the_first_with_null(sockets: Served, agent: Fleeted) -> None:
    with on_line(sockets.port, agent) as line:
        line.say(type="next_command", timeout_ms=60_000, request_id="first")
        line.say(type="next_command", timeout_ms=1000, request_id="second")
        assert [(frame["request_id"], frame["command"]) for frame in (line.hear(), line.hear())] == [
            ("first", None),
            ("second", None),
        ]


def test_an_acknowledgement_and_a_result_told_twice_change_nothing(
    sockets: Served, town: Town, agent: Fleeted
) -> None:
    order(town, agent)
    with on_line(sockets.port, agent) as line:
        command = line.next()["id"]
        for _ in range(2):
            assert line.about("ack", command)["type"] == "agent.command.ack"
        first = line.about("result", command, status="succeeded", result=1)
        before = data(town.admin.get(f"/api/v1/vm-ops/commands/{command}"))
        again = line.about("result", command, status="failed", error_message="no", result=2)
        assert (first["status"], again["status"]) == ("succeeded", "succeeded"), "the first end stands"
        assert data(town.admin.get(f"/api/v1/vm-ops/commands/{command}")) == before
        assert line.about("ack", command)["code"] == "COMMAND_NOT_FOUND", "what has ended is not begun again"
        assert line.about("progress", command, progress=1)["code"] == "COMMAND_NOT_FOUND"


def test_the_result_of_a_cancelled_command_changes_nothing(sockets: Served, town: Town, agent: Fleeted) -> None:
    order(town, agent)
    with on_line(sockets.port, agent) as line:
        command = line.next()["id"]
        line.about("ack", command)
        data(town.admin.post(f"/api/v1/vm-ops/commands/{command}/cancel"))
        assert line.about("result", command, status="succeeded", result=1)["status"] == "cancelled"
    assert data(town.admin.get(f"/api/v1/vm-ops/commands/{command}"))["result"] is None


@pytest.mark.parametrize("status", ["failed", "expired", "cancelled"])
def test_an_agent_may_bring_other_ends(sockets: Served, town: Town, agent: Fleeted, status: str) -> None:
    order(town, agent)
    with on_line(sockets.port, agent) as line:
        command = line.next()["id"]
        assert line.about("result", command, status=status, error_message="so it is")["status"] == status
    shown = data(town.admin.get(f"/api/v1/vm-ops/commands/{command}"))
    assert (shown["status"], shown["error_message"]) == (status, "so it is")


def test_another_agents_command_is_not_there(sockets: Served, town: Town, elsewhere: Town, agent: Fleeted) -> None:
    mine = order(town, agent)["id"]
    for other in (enlist(town), enlist(elsewhere)):
        with on_line(sockets.port, other) as line:
            assert line.next(1000) is None
            for kind, said in (("ack", {}), ("progress", {}), ("result", {"status": "failed"})):
                assert line.about(kind, mine, **said)["code"] == "COMMAND_NOT_FOUND"
    assert status_of(town, mine) == "queued"


def test_a_command_that_was_never_handed_out_is_not_the_agents_to_answer(
    sockets: Served, town: Town, agent: Fleeted
) -> None:
    command = order(town, agent)["id"]
    with on_line(sockets.port, agent) as line:
        assert line.about("ack", command)["code"] == "COMMAND_NOT_FOUND"
        assert line.about("result", command, status="succeeded")["code"] == "COMMAND_NOT_FOUND"
        assert status_of(town, command) == "queued"


REFUSED = [
    ("{", "INVALID_JSON"),
    ("", "INVALID_JSON"),
    ("[1]", "INVALID_MESSAGE"),
    ("null", "INVALID_MESSAGE"),
    (b"{}", "INVALID_MESSAGE"),
    ({}, "INVALID_MESSAGE"),
    ({"type": "what"}, "INVALID_MESSAGE"),
    ({"type": ["heartbeat"]}, "INVALID_MESSAGE"),
    ({"type": "heartbeat", "status": 5}, "INVALID_MESSAGE"),
    ({"type": "heartbeat", "metadata": {"db": {"password": "canary"}}}, "INVALID_MESSAGE"),
    ({"type": "heartbeat", "metadata": {"a": "\0"}}, "INVALID_MESSAGE"),
    ({"type": "heartbeat", "agent_id": "another"}, "FORBIDDEN"),
    ({"type": "heartbeat", "agent_id": 5}, "INVALID_MESSAGE"),
    ({"type": "next_command", "timeout_ms": 999}, "INVALID_MESSAGE"),
    ({"type": "next_command", "timeout_ms": 120_001}, "INVALID_MESSAGE"),
    ({"type": "next_command", "timeout_ms": "1000"}, "INVALID_MESSAGE"),
    ({"type": "agent.command.ack", "command_id": "x"}, "MISSING_AGENT_ID"),
    ({"type": "agent.command.ack", "agent_id": "mine"}, "INVALID_MESSAGE"),
    ({"type": "agent.command.ack", "agent_id": "mine", "command_id": "x"}, "COMMAND_NOT_FOUND"),
    ({"type": "agent.command.progress", "agent_id": "mine", "command_id": "x", "progress": 101}, "INVALID_MESSAGE"),
    (
        {"type": "agent.command.progress", "agent_id": "mine", "command_id": "x", "message": "x" * 1001},
        "INVALID_MESSAGE",
    ),
    ({"type": "agent.command.result", "agent_id": "mine", "command_id": "x", "status": "running"}, "INVALID_MESSAGE"),
    (
        {"type": "agent.command.result", "agent_id": "mine", "command_id": "x", "status": "failed",
         "error_message": "x" * 2001}, "INVALID_MESSAGE",
    ),
    ({"type": "heartbeat", "request_id": {}}, "INVALID_MESSAGE"),
]  # fmt: skip


def test_what_cannot_be_understood_is_said_and_closes_nothing(sockets: Served, agent: Fleeted) -> None:
    with on_line(sockets.port, agent) as line:
        for sent, code in REFUSED:
            if isinstance(sent, dict):
                own = {name: agent.id if value == "mine" else value for name, value in sent.items()}
                number = {} if "request_id" in own else {"request_id": "r-7"}
                line.peer.send(json.dumps(own | number))
            else:
                number = {}
                line.peer.send(sent)
            answer = line.hear()
            assert (answer["type"], answer["code"]) == ("error", code), sent
            assert MOMENT.fullmatch(answer["ts"]) and answer["message"] and "canary" not in str(answer)
            assert answer.get("request_id") == number.get("request_id")
        assert line.ask(type="heartbeat")["type"] == "agent.heartbeat"


def test_a_flood_closes_the_socket(sockets: Served, agent: Fleeted) -> None:
    with on_line(sockets.port, agent) as line:
        frame = json.dumps({"type": "heartbeat"})
        try:
            for _ in range(2500):
                line.peer.send(frame)
        except OSError:
            pass
        assert line.closed().code == 1008


def test_a_thousand_frames_in_a_row_are_no_flood(sockets: Served, agent: Fleeted) -> None:
    with on_line(sockets.port, agent) as line:
        for turn in range(1000):
            assert line.ask(type="heartbeat", request_id=turn)["request_id"] == turn


def test_a_frame_of_256_kib_is_taken_and_a_larger_one_closes(sockets: Served, town: Town, agent: Fleeted) -> None:
    order(town, agent)
    with on_line(sockets.port, agent) as line:
        command = line.next()["id"]
        frame = {"type": "agent.command.result", "command_id": command, "agent_id": agent.id, "status": "succeeded"}
        room = 256 * 1024 - len(json.dumps({**frame, "result": ""}))
        assert line.ask(**frame, result="x" * room)["status"] == "succeeded"
        line.peer.send("x" * (256 * 1024 + 1))
        assert line.closed().code == 1009
    assert len(data(town.admin.get(f"/api/v1/vm-ops/commands/{command}"))["result"]) == room


def test_a_frame_is_measured_in_bytes(sockets: Served, agent: Fleeted) -> None:
    with on_line(sockets.port, agent) as line:
        frame = json.dumps({"type": "heartbeat", "metadata": {"x": "é" * 130 * 1024}}, ensure_ascii=False)
        assert len(frame) < 256 * 1024 < len(frame.encode())
        line.peer.send(frame)
        assert line.closed().code == 1009


@pytest.mark.parametrize("progress", ["5", " 7 ", True, 101, -1, [5]])
def test_a_progress_that_is_no_number_from_0_to_100_is_refused(
    sockets: Served, town: Town, agent: Fleeted, progress: Any
) -> None:
    order(town, agent)
    with on_line(sockets.port, agent) as line:
        said = {"type": "agent.command.progress", "command_id": line.next()["id"], "agent_id": agent.id}
        assert line.ask(**said, progress=progress)["code"] == "INVALID_MESSAGE"
        assert line.ask(**said, progress=99.5)["type"] == "agent.command.progress"


@PATHS
def test_the_upgrade_carries_the_ids_of_the_request(sockets: Served, agent: Fleeted, path: str) -> None:
    with Peer(sockets.port, f"{path}?request_id=mine-1", token=agent.token) as peer:
        assert isinstance(peer.accepted, AcceptConnection)
        assert dict(peer.accepted.extra_headers)[b"x-request-id"] == b"mine-1"


def test_who_never_beat_is_gone_with_its_socket_and_who_did_90_seconds_later(sockets: Served, town: Town) -> None:
    silent, beating = enlist(town, online=False), enlist(town, online=False)

    def status(agent: Fleeted) -> Any:
        return data(town.admin.get(f"/api/v1/agents/{agent.id}"))["status"]

    with on_line(sockets.port, silent), on_line(sockets.port, beating) as line:
        line.ask(type="heartbeat")
        assert status(silent) == status(beating) == "active"
    until(lambda: status(silent) == "offline")
    assert status(beating) == "active"
    with on_line(sockets.port, silent):
        with on_line(sockets.port, silent):
            assert status(silent) == "active"
        time.sleep(0.5)
        assert status(silent) == "active", "its other socket is open"
    until(lambda: status(silent) == "offline")


def test_a_large_payload_arrives_whole(sockets: Served, town: Town, agent: Fleeted) -> None:
    with on_line(sockets.port, agent) as line:
        line.say(type="next_command", timeout_ms=5000)
        order(town, agent, text="x" * 239_000)
        assert len(line.hear()["command"]["payload"]["text"]) == 239_000


def test_revoking_closes_the_socket_and_tells_the_agent_why(sockets: Served, town: Town, agent: Fleeted) -> None:
    waiting = order(town, agent)["id"]
    with on_line(sockets.port, agent) as line:
        data(town.admin.post(f"/api/v1/agents/{agent.id}/revoke", {"reason": "sold"}))
        assert line.closed().code == 1008
    assert Peer(sockets.port, SOCKET, token=agent.token).refused == 409
    shown = data(town.admin.get(f"/api/v1/vm-ops/commands/{waiting}"))
    assert (shown["status"], shown["error_message"]) == ("cancelled", "The agent was revoked.")


def test_agents_and_commands_are_counted(sockets: Served, town: Town, agent: Fleeted) -> None:
    with on_line(sockets.port, agent) as line:
        order(town, agent)
        command = line.next()["id"]
        line.about("result", command, status="succeeded")
        metrics = sockets.get("/metrics")[1]
    assert re.search(r"^moorage_agents_online [1-9]", metrics, re.MULTILINE)
    assert re.search(r'^moorage_commands_total\{state="succeeded"\} [1-9]', metrics, re.MULTILINE)
    assert re.search(r"^moorage_command_duration_seconds_count [1-9]", metrics, re.MULTILINE)
