"""Heartbeats, the list, tokens, revoking; and who may do which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text

from tests.api.fleet import Fleeted, enlist, key_of
from tests.api.people import Town, data, its, refusal
from webapp import create_app
from webapp.agents.service import Heartbeats
from webapp.caller import SCOPES
from webapp.settings import Settings

AGENTS = "/api/v1/agents"


def aged(town: Town, seconds: int, columns: str = "last_seen_at") -> None:
    with its(town.app).database.transaction(town.tenant) as session:
        session.execute(text(f"UPDATE agents SET {columns} = {columns} - make_interval(secs => {seconds})"))


def shown(town: Town, agent: Fleeted) -> Any:
    return data(town.admin.get(f"{AGENTS}/{agent.id}"))


def test_an_agent_is_offline_until_it_beats_and_when_three_beats_are_missed(town: Town) -> None:
    agent = enlist(town, online=False)
    assert (shown(town, agent)["status"], shown(town, agent)["last_seen_at"]) == ("offline", None)
    beat = data(agent.beat(status="fine", metadata={"load": 1}))
    assert (beat["agent_id"], beat["status"]) == (agent.id, "active") and beat["last_seen_at"].endswith("Z")
    assert (shown(town, agent)["status"], shown(town, agent)["metadata"]) == ("active", {"load": 1})
    aged(town, 85)
    assert shown(town, agent)["status"] == "active"
    aged(town, 6)
    assert shown(town, agent)["status"] == "offline"


def test_the_list_by_status(town: Town) -> None:
    town.member.post(f"{AGENTS}/pairings")
    here, away, gone = enlist(town), enlist(town, online=False), enlist(town)
    data(town.infra.post(f"{AGENTS}/{gone.id}/revoke"))
    for status, expected in (("active", here), ("offline", away), ("revoked", gone)):
        assert [agent["id"] for agent in data(town.viewer.get(f"{AGENTS}?status={status}"))] == [expected.id]
    assert [agent["status"] for agent in data(town.viewer.get(f"{AGENTS}?status=pending"))] == ["pending"]
    answer = town.viewer.get(f"{AGENTS}?limit=2&sort=created_at&order=asc")
    assert len(data(answer)) == 2 and answer.json["meta"] == {"total": 4, "page": 1, "limit": 2}
    assert refusal(town.viewer.get(f"{AGENTS}?status=asleep")) == (400, "VALIDATION_ERROR")


def test_a_member_sees_and_uses_only_their_own(town: Town) -> None:
    mine, others = enlist(town), enlist(town, town.admin)
    assert [agent["id"] for agent in data(town.member.get(AGENTS))] == [mine.id]
    assert refusal(town.member.get(f"{AGENTS}/{others.id}")) == (403, "AGENT_OWNER_MISMATCH")
    assert refusal(town.member.post(f"{AGENTS}/heartbeat", {"agent_id": others.id})) == (403, "AGENT_OWNER_MISMATCH")
    assert {agent["id"] for agent in data(town.viewer.get(AGENTS))} == {mine.id, others.id}


@pytest.mark.parametrize("identifier", ["0d9a1b52-7c39-4c3e-9f5e-1d4f4d1f8a10", "x", "%00", "a" * 300])
def test_an_id_that_is_not_known(town: Town, identifier: str) -> None:
    expected = (404, "NOT_FOUND" if identifier == "%00" else "AGENT_NOT_FOUND")
    assert refusal(town.admin.get(f"{AGENTS}/{identifier}")) == expected
    assert refusal(town.admin.post(f"{AGENTS}/{identifier}/revoke")) == expected


def test_another_tenants_agent_is_not_there(town: Town, elsewhere: Town) -> None:
    agent = enlist(elsewhere)
    assert refusal(town.admin.get(f"{AGENTS}/{agent.id}")) == (404, "AGENT_NOT_FOUND")
    assert refusal(town.admin.post(f"{AGENTS}/{agent.id}/revoke")) == (404, "AGENT_NOT_FOUND")
    assert refusal(enlist(town).call(f"POST {AGENTS}/heartbeat", {"agent_id": agent.id})) == (404, "AGENT_NOT_FOUND")


def test_heartbeats_that_are_refused(town: Town) -> None:
    agent = enlist(town)
    assert refusal(agent.beat(metadata={"api_key": "canary"})) == (400, "PLAINTEXT_SECRET_REFUSED")
    assert refusal(agent.post(f"{AGENTS}/heartbeat", {})) == (400, "VALIDATION_ERROR")
    pending = data(town.member.post(f"{AGENTS}/pairings"), 201)["id"]
    assert refusal(town.member.post(f"{AGENTS}/heartbeat", {"agent_id": pending})) == (409, "AGENT_NOT_ACTIVE")
    other = enlist(town)
    assert refusal(agent.post(f"{AGENTS}/heartbeat", {"agent_id": other.id})) == (404, "AGENT_NOT_FOUND")


def test_a_revoked_agents_token_is_dead_at_once(town: Town) -> None:
    agent = enlist(town)
    revoked = data(town.admin.post(f"{AGENTS}/{agent.id}/revoke", {"reason": "sold"}))
    assert (revoked["status"], revoked["revoke_reason"]) == ("revoked", "sold")
    assert refusal(town.admin.post(f"{AGENTS}/{agent.id}/revoke")) == (409, "ALREADY_REVOKED")
    assert refusal(agent.beat()) == (409, "AGENT_REVOKED"), "so that it can tell its user"
    for line in (f"POST {AGENTS}/token", "GET /api/v1/vm-ops/commands/next", f"GET {AGENTS}/{agent.id}"):
        assert refusal(agent.call(line)) == (401, "TOKEN_INVALID"), line
    assert refusal(town.admin.post(f"{AGENTS}/heartbeat", {"agent_id": agent.id})) == (409, "AGENT_REVOKED")


def test_the_next_token_and_five_minutes_of_those_before(town: Town) -> None:
    first = enlist(town)

    def next_of(agent: Fleeted, **headers: str) -> Fleeted:
        made = data(agent.post(f"{AGENTS}/token", headers=headers))
        assert set(made) == {"agent_id", "agent_token", "agent_token_expires_at"}
        return Fleeted(agent.client, made["agent_token"], "", agent.id)

    def pass_by(seconds: int) -> None:
        with its(town.app).database.transaction(town.tenant) as session:
            session.execute(text(f"UPDATE agent_former_tokens SET until = until - interval '{seconds} s'"))

    second = next_of(first)
    assert data(second.beat()) and data(first.beat())
    pass_by(200)
    third = next_of(first)  # asked again with the old one
    assert data(first.beat()) and data(second.beat()) and data(third.beat())
    pass_by(101)
    assert refusal(first.beat()) == (401, "TOKEN_INVALID") and data(second.beat())
    pass_by(200)
    assert refusal(second.beat()) == (401, "TOKEN_INVALID") and data(third.beat())
    key = {"Idempotency-Key": "after-a-lost-answer"}
    assert next_of(third, **key).token == next_of(third, **key).token
    aged(town, 31 * 86400, "token_expires_at")
    pass_by(301)
    assert refusal(third.beat()) == (401, "TOKEN_INVALID")


LOOK = {"admin": 200, "infra": 200, "member": 200, "viewer": 200, "agent": 403, "agents:read": 200, "ops:read": 403}
CASES: dict[str, dict[str, int]] = {
    "GET /api/v1/agents": LOOK,
    "GET /api/v1/agents/{agent}": LOOK | {"agent": 200},
    "POST /api/v1/agents/pairings": {
        "admin": 201, "infra": 201, "member": 201, "viewer": 403, "agent": 403, "agents:write": 201, "agents:read": 403,
    },
    "POST /api/v1/agents/heartbeat": {
        "admin": 200, "infra": 200, "member": 200, "viewer": 403, "agent": 200, "agents:write": 200, "agents:read": 403,
    },
    "POST /api/v1/agents/token": {
        "admin": 403, "infra": 403, "member": 403, "viewer": 403, "agent": 200, "agents:write": 403,
    },
    "POST /api/v1/agents/{agent}/revoke": {
        "admin": 200, "infra": 200, "member": 403, "viewer": 403, "agent": 403, "agents:write": 200, "agents:read": 403,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("line", "who", "status"), [(line, who, status) for line, by in CASES.items() for who, status in by.items()]
)
def test_who_may(town: Town, line: str, who: str, status: int) -> None:
    agent = enlist(town)
    caller = agent if who == "agent" else key_of(town, who) if who in SCOPES else town.person(who)
    body = {"agent_id": agent.id} if line.endswith("heartbeat") else {}
    answer = caller.call(line.format(agent=agent.id), body if line.startswith("POST") else None)
    assert answer.status_code == status, answer.text
    assert status != 403 or answer.json["error"]["code"] == "FORBIDDEN"


def test_heartbeats_of_sockets_are_one_round_trip_for_all_tenants(
    town: Town, elsewhere: Town, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleets = [(one, [enlist(one, online=False) for _ in range(3)]) for one in (town, elsewhere)]
    now = 100.0
    beats = Heartbeats(its(app).database, clock=lambda: now)
    for one, fleet in fleets:
        for agent in fleet:
            beats.note(one.tenant, UUID(agent.id), "busy", {"n": 1})
            beats.note(one.tenant, UUID(agent.id))
        data(one.admin.post(f"{AGENTS}/{fleet[2].id}/revoke"))
    assert len(beats) == 6
    now = 160.0
    statements: list[str] = []
    at_once = its(app).database.at_once

    def counted(statement: str, values: Mapping[str, Any], **claims: Any) -> list[Any]:
        statements.append(statement)
        return at_once(statement, values, **claims)

    monkeypatch.setattr(its(app).database, "at_once", counted)
    assert beats.flush() == 6 and len(statements) == 1 and len(beats) == 0
    for one, fleet in fleets:
        for agent in fleet[:2]:
            row = shown(one, agent)
            assert (row["status"], row["reported_status"], row["metadata"]) == ("active", "busy", {"n": 1})
        aged(one, 31)
        assert shown(one, fleet[0])["status"] == "offline", "it beat 60 s before it was written"
        assert shown(one, fleet[2])["last_seen_at"] is None, "a revoked agent is not seen"


def test_heartbeats_that_cannot_be_written_wait(town: Town, relays: Any, relayed: dict[str, str]) -> None:
    agent = enlist(town, online=False)
    beats = Heartbeats(its(create_app(Settings.parse(relayed))).database)
    beats.note(town.tenant, UUID(agent.id))
    relays[0].stop()
    with pytest.raises(Exception, match="refused"):
        beats.flush()
    assert len(beats) == 1
    relays[0].start()
    assert beats.flush() == 1
    assert shown(town, agent)["status"] == "active"
