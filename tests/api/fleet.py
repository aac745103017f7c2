"""Agents of a test's tenant: paired and registered by the product's own operations, over HTTP and over sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from wsproto.events import CloseConnection

from tests.api.people import Person, Town, data, its
from tests.api.serving.peer import Peer
from webapp.auth.service import new_opaque

SOCKET = "/api/v1/agents/ws"


@dataclass(frozen=True)
class Fleeted(Person):
    """An agent. `user_id` is empty: its token is no user's."""

    id: str = ""

    def beat(self, **said: Any) -> Any:
        return self.post("/api/v1/agents/heartbeat", {"agent_id": self.id, **said})

    def next(self, timeout_ms: int = 1000) -> Any:
        query = f"agent_id={self.id}&timeout_ms={timeout_ms}"
        return data(self.get(f"/api/v1/vm-ops/commands/next?{query}"))

    def told(self, command_id: str, status: str, **said: Any) -> Any:
        return self.call(f"PATCH /api/v1/vm-ops/commands/{command_id}", {"status": status, **said})


def code_of(town: Town, by: Person | None = None, **asked: Any) -> dict[str, Any]:
    """A new pairing."""
    made: dict[str, Any] = data((by or town.member).post("/api/v1/agents/pairings", asked), 201)
    return made


def enlist(town: Town, by: Person | None = None, *, online: bool = True, **said: Any) -> Fleeted:
    """A registered agent of whoever pairs it."""
    code = code_of(town, by)["pairing_code"]
    client = town.app.test_client()
    made = data(client.post("/api/v1/agents/register", json={"pairing_code": code, **said}), 201)
    agent = Fleeted(client, made["agent_token"], "", made["id"])
    if online:
        assert agent.beat().status_code == 200
    return agent


class Line:
    """An agent's socket, as the test speaks on it."""

    def __init__(self, peer: Peer, agent: Fleeted) -> None:
        self.peer, self.agent = peer, agent

    def say(self, **frame: Any) -> None:
        self.peer.send(json.dumps(frame))

    def hear(self) -> dict[str, Any]:
        got = self.peer.receive()
        assert isinstance(got, str), got
        frame: dict[str, Any] = json.loads(got)
        return frame

    def ask(self, **frame: Any) -> dict[str, Any]:
        """Say it, and hear the answer."""
        self.say(**frame)
        return self.hear()

    def next(self, timeout_ms: int = 5000) -> Any:
        answer = self.ask(type="next_command", timeout_ms=timeout_ms)
        assert answer["type"] == "agent.command.assigned", answer
        return answer["command"]

    def about(self, kind: str, command_id: str, **said: Any) -> dict[str, Any]:
        return self.ask(type=f"agent.command.{kind}", command_id=command_id, agent_id=self.agent.id, **said)

    def closed(self, seconds: float = 5) -> CloseConnection:
        return self.peer.closed_within(seconds)


@contextmanager
def on_line(port: int, agent: Fleeted, path: str = SOCKET) -> Iterator[Line]:
    """The agent's socket, greeted."""
    with Peer(port, path, token=agent.token) as peer:
        assert peer.refused is None, peer.refused
        line = Line(peer, agent)
        assert line.hear()["type"] == "connected"
        yield line


def order(town: Town, agent: Fleeted, by: Person | None = None, *, action: str = "start", **params: Any) -> Any:
    """A new command for the agent."""
    body = {"agent_id": agent.id, "params": params}
    return data((by or town.admin).post(f"/api/v1/vm-ops/proxmox/{action}", body), 202)


def status_of(town: Town, command_id: str) -> str:
    return str(data(town.admin.get(f"/api/v1/vm-ops/commands/{command_id}"))["status"])


def key_of(town: Town, *scopes: str) -> Person:
    """An API key with these scopes, straight into the table: how keys are made is another room's matter."""
    made = new_opaque("mk", town.tenant, holder := uuid4())
    with its(town.app).database.transaction(town.tenant) as session:
        session.execute(
            text(
                "INSERT INTO auth_keys (id, tenant_id, owner_id, name, scopes, digest)"
                " VALUES (:id, :tenant, 'admin-1', 'k', :scopes, :digest)"
            ),
            {"id": holder, "tenant": town.tenant, "scopes": list(scopes), "digest": made.digest},
        )
    return Person(town.app.test_client(), made.token.reveal())
