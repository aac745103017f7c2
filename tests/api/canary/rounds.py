"""Rounds through every operation of the OpenAPI document, right and wrong, and over the sockets."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from tests.api.canary.asking import Asker
from tests.api.canary.bodies import Filler, Json, Sent
from tests.api.canary.places import Source
from tests.api.canary.town import Town
from tests.api.serving.peer import Peer
from webapp.caller import ROLES

# They hold the line until something happens: once each is enough.
WAITING = {"/api/v1/vm-ops/events", "/api/v1/vm-ops/commands/next"}
# What is asked for again would not be there any more.
LAST = ("DELETE", "revoke", "logout", "cancel")
SOCKETS = ("/api/v1/agents/ws", "/ws/v1/agents/connect")


@dataclass(frozen=True)
class Op:
    """An operation of the document."""

    method: str
    path: str
    described: Json

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def for_agents(self) -> bool:
        return self.described.get("description", "").rstrip().endswith("For agents.")

    @property
    def body(self) -> Json | None:
        content = self.described.get("requestBody", {}).get("content", {})
        return content["application/json"]["schema"] if content else None

    def named(self, place: str) -> list[str]:
        return [one["name"] for one in self.described.get("parameters", []) if one["in"] == place]


def operations(document: Json) -> list[Op]:
    found = [
        Op(method.upper(), path, op)
        for path, item in document["paths"].items() for method, op in item.items() if not op.get("x-websocket")
    ]  # fmt: skip
    return sorted(found, key=lambda op: any(word in op.line for word in LAST))


class Rounds:
    """All that is asked of one process of an installation."""

    def __init__(self, town: Town, document: Json) -> None:
        self.town, self.markers, self.api = town, town.markers, town.api
        self.operations = operations(document)
        # The operations that have succeeded; and whether they can just now.
        self.well: set[str] = set()
        self.well_now = True
        self.leaving = town.token()
        self.filler = Filler(town.markers, document["components"]["schemas"], town.known)

    def right(self) -> None:
        """Each operation as it is meant to be asked, by whoever may."""
        for op in self.operations:
            if self.well_now or op.path not in WAITING:
                self._ask(op, self._path(op), self._query(op), self._fitting(op))

    def wrong(self) -> None:
        """Each operation in all the ways that it can be asked wrongly."""
        for op in self.operations:
            for value in self.api.wrong_authorizations(op.line):
                self.api.ask(f"{op.method} {self._path(op)}", body={} if op.body else None, Authorization=value)
            if op.path in WAITING:
                continue
            # A token where an id belongs, which would be logged and given back.
            tokens = {"X-Request-ID": self.town.admin, "X-Correlation-ID": self.town.agent}
            self.api.ask(f"{op.method} {self._path(op)}", **tokens)
            strange = self._path(op, known=False)
            self._ask(op, strange, self._query(op, known=False), self._fitting(op))
            self._ask(op, self._path(op), self._unknown_query(op), None)
            self._ask(op, f"{strange}%00", "", self._fitting(op))
            for sent in self.filler.bodies(op.body, op.line) if op.body else ():
                self._ask(op, self._path(op), "", sent)

    def by_all_kinds(self) -> None:
        """Each operation by each role, by a key and by an agent: who may not is told so."""
        for token in (*(self.town.token(role) for role in ROLES), self.town.key(), self.town.agent):
            for op in self.operations:
                if op.path not in WAITING and not any(word in op.line for word in LAST):
                    self.api.ask(f"{op.method} {self._path(op)}{self._query(op)}", token, self._fitting(op))

    def no_http(self, process: Asker) -> None:
        """What is not HTTP at all, or nearly."""
        for start in (b"GET /api/v1/agents?token=%s HTTP/1.1\r\n", b"GET /%s\r\n", b"%s\r\n", b"GET / HTTP/%s\r\n"):
            for line in (b"Authorization: Bearer %s", b"Bad Header %s: x", b"%s", b"Content-Length: %s",
                         b"Transfer-Encoding: %s", b"X:\x00%s", b"Authorization : %s", b"Host: %s"):  # fmt: skip
                secret = self.markers.secret("a request that is no HTTP").encode()
                process.raw(start.replace(b"%s", secret) + line.replace(b"%s", secret) + b"\r\n\r\n")

    def _ask(self, op: Op, path: str, query: str, body: Any) -> None:
        token = self.town.agent if op.for_agents else self.town.admin
        if any(word in op.line for word in ("logout", "sessions/")):
            token = self.town.token() if self.well_now else self.leaving
        if "/agents/{agent_id}/revoke" in op.path:  # the agent is needed still
            path = path.replace(str(self.town.known["agent_id"]), "00000000-0000-0000-0000-000000000000")
        self.api.ask(f"{op.method} {path}{query}", token, body)
        if self.api.answers[-1].place.startswith("answer:2"):
            self.well.add(op.line)

    def _fitting(self, op: Op) -> Sent | None:
        return next(self.filler.bodies(op.body, op.line)) if op.body else None

    def _path(self, op: Op, *, known: bool = True) -> str:
        def value(match: re.Match[str]) -> str:
            name = match.group(1)
            if known and self.well_now and name == "command_id" and op.method != "GET":
                return self.town.command()  # what has had its end changes no more
            if name == "action":
                return "start" if known else self.markers.make("path", op.line)
            return (
                str(self.town.known[name]) if known and name in self.town.known else self.markers.make("path", op.line)
            )

        return re.sub(r"\{(\w+)\}", value, op.path)

    def _query(self, op: Op, *, known: bool = True) -> str:
        given = {}
        for name in op.named("query"):
            if known and name in (
                "page",
                "limit",
                "sort",
                "order",
                "status",
                "result",
                "since",
                "until",
                "from",
                "to",
                "timeout_ms",
                "last_event_id",
            ):
                continue
            mine = self.town.known.get(name) if known else None
            given[name] = mine if mine is not None else self.markers.make("query", f"{op.line} {name}")
        if op.path.endswith("/next"):
            given["timeout_ms"] = 1000
        return f"?{urlencode(given)}" if given else ""

    def _unknown_query(self, op: Op) -> str:
        names = ("token", "password", "access_token", "X-Amz-Signature", "unknown", "code")
        return "?" + "&".join(f"{name}={self.markers.secret(f'{op.line} query {name}')}" for name in names)


def sockets(town: Town, process: Asker) -> None:
    """The agents' socket: refused with every wrong token, then every frame that there is and some that are none."""
    for path in SOCKETS:
        where, agent = f"socket {path}", town.known["agent_id"]
        for value in process.wrong_authorizations(where):
            wrong = value.rpartition(" ")[2]
            with Peer(process.port, f"{path}?token={quote(wrong)}&agent_id={agent}") as peer:
                assert peer.refused == 401
            with Peer(process.port, path, token=wrong) as peer:
                assert peer.refused == 401
        for query in (f"token={quote(town.agent)}&agent_id={town.markers.make('query', where)}", "token="):
            with Peer(process.port, f"{path}?{query}") as peer:
                assert peer.refused in (401, 403)
        with Peer(
            process.port, f"{path}?token={quote(town.agent)}&request_id={town.markers.make('request_id', where)}"
        ) as peer:
            assert peer.refused is None
            for frame in _frames(town, where, town.command()):
                peer.send(frame)
            process.answers += _heard(peer)


def sockets_without_a_database(town: Town, process: Asker) -> None:
    """Whoever wants to enter while nobody can be vouched for."""
    for value in process.wrong_authorizations("socket without a database"):
        process.ask(f"GET {SOCKETS[0]}?token={quote(value.rpartition(' ')[2])}", Authorization=value)
    process.ask(f"GET {SOCKETS[0]}?token={quote(town.agent)}")


def _frames(town: Town, where: str, command: str) -> Iterator[str | bytes]:
    make, secret = town.markers.make, lambda: town.markers.secret(f"{where} frame")
    mine = {"agent_id": town.known["agent_id"], "command_id": command}
    frames: list[Any] = [
        {"type": "heartbeat", "status": make("status", where), "metadata": {"note": make("metadata", where)}},
        {"type": "heartbeat", "metadata": {"token": secret()}},
        {"type": "heartbeat", "status": [secret()], "token": secret(), "password": secret()},
        {"type": "next_command", "timeout_ms": secret()},
        {"type": "agent.command.ack", **mine},
        {"type": "agent.command.ack", **mine, "command_id": make("path", where)},
        {"type": "agent.command.ack", **mine, "agent_id": make("path", where)},
        {"type": "agent.command.progress", **mine, "progress": 5, "message": make("message", where)},
        {"type": "agent.command.progress", **mine, "message": f"password={secret()} Bearer {secret()}"},
        {"type": "agent.command.progress", **mine, "progress": secret()},
        {"type": "agent.command.result", **mine, "status": secret()},
        {"type": "agent.command.result", **mine, "status": "failed", "error_message": f"secret={secret()}",
         "result": {"said": make("result", where), "deep": [{"api_key": secret()}], "url": f"https://a:{secret()}@b"}},
        {"type": secret(), "token": secret()},
        {"type": "agent.command.ack", "request_id": [secret()]},
        [secret()],
    ]  # fmt: skip
    yield from (json.dumps(frame) for frame in frames)
    yield f'{{"type": "heartbeat", "token": "{secret()}'
    yield secret().encode()
    yield json.dumps({"type": "heartbeat", "request_id": "the last"})


def _heard(peer: Peer) -> Iterator[Source]:
    peer.sock.settimeout(5)
    with contextlib.suppress(TimeoutError):
        while isinstance(got := peer.receive(), str):
            yield Source("answer:frame", got)
            if "the last" in got:
                return
