"""Commands over HTTP: who may make which, what an agent does with them by polling, and what time does."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from tests.api.fleet import Fleeted, enlist, key_of, order, status_of
from tests.api.people import Town, data, its, refusal
from tests.api.serving.conftest import Served
from webapp.caller import SCOPES
from webapp.commands import jobs, sweeps
from webapp.commands.service import ACTIONS

OPS = "/api/v1/vm-ops"
UNKNOWN = "0d9a1b52-7c39-4c3e-9f5e-1d4f4d1f8a10"


@pytest.fixture
def agent(town: Town) -> Fleeted:
    return enlist(town)


def aged(town: Town, seconds: int, columns: str) -> None:
    with its(town.app).database.transaction(town.tenant) as session:
        session.execute(text(f"UPDATE commands SET {columns} = {columns} - make_interval(secs => {seconds})"))


def swept(town: Town) -> int:
    return sweeps.sweep(its(town.app).database, town.tenant, ack_seconds=30)


def handed_out(town: Town, agent: Fleeted) -> str:
    made = order(town, agent)
    assert agent.next()["id"] == made["id"]
    return str(made["id"])


@pytest.mark.parametrize(("system", "action"), [(system, name) for system, names in ACTIONS.items() for name in names])
def test_every_action_is_known_by_name(town: Town, agent: Fleeted, system: str, action: str) -> None:
    body = {"agent_id": agent.id, "params": {"a": [1]}}
    made = data(town.member.post(f"{OPS}/{system}/{action}", body), 202)
    assert set(made) == {
        "id", "tenant_id", "agent_id", "command_type", "status", "payload", "result", "error_message", "queued_at",
        "expires_at", "started_at", "completed_at", "created_by",
    }  # fmt: skip
    assert (made["command_type"], made["payload"], made["status"]) == (f"{system}.{action}", {"a": [1]}, "queued")
    assert made["created_by"] == "member-1"


@pytest.mark.parametrize("path", ["proxmox/explode", "syncthing/start", "proxmox/List-VMs"])
def test_an_unknown_action(town: Town, agent: Fleeted, path: str) -> None:
    answer = town.admin.post(f"{OPS}/{path}", {"agent_id": agent.id})
    assert refusal(answer) == (400, "VM_OPS_INVALID_ACTION")
    assert "status" in answer.json["error"]["details"]["actions"]


def test_an_agent_that_is_not_there_is_said_at_once_and_nothing_is_queued(town: Town) -> None:
    away = enlist(town, online=False)
    assert refusal(town.admin.post(f"{OPS}/proxmox/start", {"agent_id": away.id})) == (409, "AGENT_OFFLINE")
    body = {"agent_id": away.id, "command_type": "proxmox.start"}
    assert refusal(town.admin.post(f"{OPS}/commands", body)) == (409, "AGENT_OFFLINE")
    assert data(town.admin.get(f"{OPS}/commands")) == []
    made = data(town.admin.post(f"{OPS}/commands", {**body, "offline": "queue_until_expiry"}), 202)
    assert away.next()["id"] == made["id"], "it came back in time"


def test_agents_that_take_no_commands(town: Town) -> None:
    revoked, others = enlist(town), enlist(town, town.admin)
    data(town.admin.post(f"/api/v1/agents/{revoked.id}/revoke"))
    pending = data(town.member.post("/api/v1/agents/pairings"), 201)["id"]
    for agent_id, expected in (
        (revoked.id, (409, "AGENT_REVOKED")),
        (pending, (409, "AGENT_NOT_ACTIVE")),
        (others.id, (403, "AGENT_OWNER_MISMATCH")),
        (UNKNOWN, (404, "AGENT_NOT_FOUND")),
        ("agent-7", (404, "AGENT_NOT_FOUND")),
    ):
        assert refusal(town.member.post(f"{OPS}/proxmox/start", {"agent_id": agent_id})) == expected
    data(town.infra.post(f"{OPS}/proxmox/start", {"agent_id": others.id}), 202)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"payload": {"a": {"db_password": "canary"}}}, (400, "PLAINTEXT_SECRET_REFUSED")),
        ({"payload": {"secret_ref": "s-1"}}, None),
        ({"payload": {"x": "y" * 240_001}}, (413, "PAYLOAD_TOO_LARGE")),
        ({"command_type": "no blanks"}, (400, "VALIDATION_ERROR")),
        ({"expires_in_seconds": 9}, (400, "VALIDATION_ERROR")),
        ({"expires_in_seconds": 3601}, (400, "VALIDATION_ERROR")),
        ({"offline": "maybe"}, (400, "VALIDATION_ERROR")),
        ({"more": 1}, (400, "VALIDATION_ERROR")),
    ],
)
def test_what_a_command_may_be(town: Town, agent: Fleeted, body: dict[str, Any], expected: Any) -> None:
    answer = town.admin.post(f"{OPS}/commands", {"agent_id": agent.id, "command_type": "proxmox.start", **body})
    assert "canary" not in answer.text
    assert (None if answer.status_code == 202 else refusal(answer)) == expected


def test_an_idempotency_key_makes_one_command(town: Town, agent: Fleeted) -> None:
    key = {"Idempotency-Key": "once"}
    body = {"agent_id": agent.id}
    made = [data(town.admin.post(f"{OPS}/proxmox/start", body, headers=key), 202) for _ in range(2)]
    assert made[0] == made[1] and len(data(town.admin.get(f"{OPS}/commands"))) == 1


def test_the_list_and_one(town: Town, elsewhere: Town, agent: Fleeted) -> None:
    mine, others = order(town, agent, town.member), order(town, enlist(town, town.admin))
    assert [one["id"] for one in data(town.viewer.get(f"{OPS}/commands?order=asc"))] == [mine["id"], others["id"]]
    assert [one["id"] for one in data(town.viewer.get(f"{OPS}/commands?agent_id={agent.id}"))] == [mine["id"]]
    assert data(town.viewer.get(f"{OPS}/commands?agent_id=x")) == []
    assert data(town.viewer.get(f"{OPS}/commands?status=running")) == []
    assert [one["id"] for one in data(town.member.get(f"{OPS}/commands"))] == [mine["id"]]
    assert data(town.viewer.get(f"{OPS}/commands/{mine['id']}")) == mine
    assert refusal(town.member.get(f"{OPS}/commands/{others['id']}")) == (403, "AGENT_OWNER_MISMATCH")
    assert refusal(town.member.post(f"{OPS}/commands/{others['id']}/cancel")) == (403, "AGENT_OWNER_MISMATCH")
    for identifier in (UNKNOWN, "x"):
        assert refusal(town.admin.get(f"{OPS}/commands/{identifier}")) == (404, "COMMAND_NOT_FOUND")
    assert refusal(elsewhere.admin.get(f"{OPS}/commands/{mine['id']}")) == (404, "COMMAND_NOT_FOUND")
    assert refusal(elsewhere.admin.post(f"{OPS}/commands/{mine['id']}/cancel")) == (404, "COMMAND_NOT_FOUND")


def test_a_cancelled_command_is_over(town: Town, agent: Fleeted) -> None:
    command = order(town, agent)["id"]
    assert data(town.member.post(f"{OPS}/commands/{command}/cancel"))["status"] == "cancelled"
    assert refusal(town.admin.post(f"{OPS}/commands/{command}/cancel")) == (409, "COMMAND_FINISHED")
    assert agent.next() is None
    running = handed_out(town, agent)
    data(agent.told(running, "running"))
    data(town.admin.post(f"{OPS}/commands/{running}/cancel"))
    assert refusal(agent.told(running, "succeeded", result=1)) == (409, "COMMAND_FINISHED")
    assert status_of(town, running) == "cancelled"
    events = data(town.admin.get(f"/api/v1/audit?subject={running}&order=asc"))
    assert [event["event"] for event in events] == ["command_created", "command_cancelled"]


def test_an_agent_that_polls(town: Town, agent: Fleeted) -> None:
    assert agent.next() is None
    command = handed_out(town, agent)
    assert data(agent.told(command, "running"))["status"] == "running"
    assert data(agent.told(command, "running"))["status"] == "running"
    done = data(agent.told(command, "succeeded", result={"ok": True}))
    assert (done["status"], done["result"]) == ("succeeded", {"ok": True})
    assert data(agent.told(command, "succeeded", result={"ok": False})) == done, "told twice, nothing changes"
    for status in ("failed", "running"):
        assert refusal(agent.told(command, status)) == (409, "COMMAND_FINISHED")
    assert refusal(agent.told(command, "expired")) == (400, "VALIDATION_ERROR")


def test_a_poll_that_waits_is_woken(town: Town, agent: Fleeted) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(agent.next, 20_000)
        time.sleep(0.3)
        began = time.monotonic()
        made = order(town, agent)
        assert waiting.result()["id"] == made["id"]
        assert time.monotonic() - began < 5, "it did not wait for its time to be up"


def test_a_poll_in_the_sockets_process(town: Town, agent: Fleeted, sockets: Served) -> None:
    import http.client
    import json

    connection = http.client.HTTPConnection("127.0.0.1", sockets.port, timeout=20)
    connection.request("GET", f"{OPS}/commands/next?timeout_ms=20000", headers=agent.headers)
    made = order(town, agent)
    assert json.loads(connection.getresponse().read())["data"]["id"] == made["id"]
    connection.close()


@pytest.mark.parametrize("query", ["timeout_ms=999", "timeout_ms=60001", "timeout_ms=x"])
def test_a_poll_that_is_not_as_it_should_be(agent: Fleeted, query: str) -> None:
    assert refusal(agent.get(f"{OPS}/commands/next?{query}")) == (400, "VALIDATION_ERROR")


def test_an_agent_touches_only_its_own(town: Town, elsewhere: Town, agent: Fleeted) -> None:
    command = handed_out(town, agent)
    for other in (enlist(town), enlist(elsewhere)):
        assert refusal(other.told(command, "succeeded")) == (404, "COMMAND_NOT_FOUND")
        assert refusal(other.get(f"{OPS}/commands/{command}")) == (404, "COMMAND_NOT_FOUND")
        assert refusal(other.get(f"{OPS}/commands/next?agent_id={agent.id}")) == (404, "AGENT_NOT_FOUND")
        assert other.next() is None
    assert data(agent.get(f"{OPS}/commands/{command}"))["status"] == "dispatched"


def test_not_acknowledged_goes_back_twice_and_then_has_failed(town: Town, agent: Fleeted) -> None:
    command = order(town, agent)["id"]
    for _ in range(3):
        assert agent.next()["id"] == command
        assert swept(town) == 0
        aged(town, 31, "dispatched_at")
        assert swept(town) == 1
    shown = data(town.admin.get(f"{OPS}/commands/{command}"))
    assert shown["status"] == "failed" and "3 times" in shown["error_message"] and agent.next() is None


def test_a_late_word_on_a_requeued_command_counts(town: Town, agent: Fleeted) -> None:
    command = handed_out(town, agent)
    aged(town, 31, "dispatched_at")
    assert swept(town) == 1 and status_of(town, command) == "queued"
    assert data(agent.told(command, "succeeded", result=1))["status"] == "succeeded"
    assert agent.next() is None


@pytest.mark.parametrize("status", ["queued", "dispatched", "running"])
def test_past_its_time_it_has_expired_whatever_it_was(town: Town, agent: Fleeted, status: str) -> None:
    command = order(town, agent)["id"]
    if status != "queued":
        agent.next()
    if status == "running":
        data(agent.told(command, "running"))
    aged(town, 301, "expires_at")
    assert agent.next() is None
    if status == "dispatched":
        assert refusal(agent.told(command, "running")) == (404, "COMMAND_NOT_FOUND"), "too late to begin"
    assert swept(town) == 1 and swept(town) == 0
    shown = data(town.admin.get(f"{OPS}/commands/{command}"))
    assert shown["status"] == "expired" and status in shown["error_message"] and shown["completed_at"]


def test_the_workers_round_wakes_who_waits(
    town: Town, agent: Fleeted, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    command = handed_out(town, agent)
    aged(town, 31, "dispatched_at")
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(agent.next, 20_000)
        time.sleep(0.2)
        jobs.sweep(timestamp=0)
        assert waiting.result()["id"] == command


def test_many_polls_of_one_agent_get_each_command_once(town: Town, agent: Fleeted, app: Flask) -> None:
    made = {order(town, agent, n=n)["id"] for n in range(30)}
    got: list[str] = []
    lock = threading.Lock()

    def poll() -> None:
        client = Fleeted(app.test_client(), agent.token, "", agent.id)
        while (command := client.next(1000)) is not None:
            with lock:
                got.append(command["id"])

    threads = [threading.Thread(target=poll) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(made)


CASES: dict[str, dict[str, int]] = {
    "POST /proxmox/start": {
        "admin": 202, "infra": 202, "member": 202, "viewer": 403, "agent": 403, "commands:write": 202, "ops:read": 403,
    },
    "POST /syncthing/pause": {
        "admin": 202, "infra": 202, "member": 202, "viewer": 403, "agent": 403, "commands:write": 202, "ops:read": 403,
    },
    "POST /commands": {
        "admin": 202, "infra": 202, "member": 403, "viewer": 403, "agent": 403, "commands:write": 202, "ops:read": 403,
    },
    "GET /commands": {
        "admin": 200, "infra": 200, "member": 200, "viewer": 200, "agent": 403, "ops:read": 200, "commands:write": 403,
    },
    "GET /commands/{command}": {
        "admin": 200, "infra": 200, "member": 200, "viewer": 200, "agent": 200, "ops:read": 200, "commands:write": 403,
    },
    "GET /commands/next?timeout_ms=1000": {
        "admin": 403, "infra": 403, "member": 403, "viewer": 403, "agent": 200, "commands:write": 403,
    },
    "PATCH /commands/{command}": {
        "admin": 403, "infra": 403, "member": 403, "viewer": 403, "agent": 200, "commands:write": 403,
    },
    "POST /commands/{command}/cancel": {
        "admin": 200, "infra": 200, "member": 200, "viewer": 403, "agent": 403, "commands:write": 200, "ops:read": 403,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("line", "who", "status"), [(line, who, status) for line, by in CASES.items() for who, status in by.items()]
)
def test_who_may(town: Town, agent: Fleeted, line: str, who: str, status: int) -> None:
    caller = agent if who == "agent" else key_of(town, who) if who in SCOPES else town.person(who)
    command = handed_out(town, agent) if "{command}" in line else ""
    method, path = line.format(command=command).split()
    body: Any = {"agent_id": agent.id} if method == "POST" else {"status": "running"} if method == "PATCH" else None
    if path == "/commands" and body:
        body |= {"command_type": "proxmox.start"}
    answer = caller.call(f"{method} {OPS}{path}", {} if path.endswith("cancel") else body)
    assert answer.status_code == status, answer.text
    assert status != 403 or answer.json["error"]["code"] == "FORBIDDEN"


def test_a_result_beyond_64_bits_is_read_again_on_every_way(town: Town, agent: Fleeted) -> None:
    """Found by the fuzz tests, see the licensing room's test of the same; this one is the hot paths' way."""
    command = order(town, agent, size=1e300)
    assert agent.next()["payload"]["size"] == 1e300
    told = data(agent.told(command["id"], "succeeded", result={"bytes": 1e300}))
    assert told["result"] == {"bytes": 1e300}
    assert data(town.admin.get(f"{OPS}/commands/{command['id']}"))["result"] == {"bytes": 1e300}
