"""A small control plane that speaks the contract's agent part: pairing, token, socket, long poll, secrets."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.server import ServerProtocol
from websockets.sync.server import ServerConnection

from tests.unit.agent.serving import Asked, LocalServer, Reply, data, refusal

CODE = "ABCD-EFGH-JKLM"
DAY = 86400


def rfc3339(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Open:
    """What a connection asks its server: whether it is closing."""

    socket_closed = threading.Event()


class Plane:
    """What a test sets: `skew`, `refuses` (path → reply), `upgrade` (None: sockets work), `silent` frame types,
    `down` frame types (as while the database is away).
    What it looks at: `frames`, `calls`, `outcomes`, `acks`."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.calls: list[Asked] = []
        self.outcomes: dict[str, list[dict[str, Any]]] = {}
        self.acks: list[str] = []
        self.secret_acks: list[tuple[str, int]] = []
        self.secrets: list[dict[str, Any]] = []
        self.refuses: dict[str, Reply] = {}
        self.upgrade: Reply | None = None
        self.silent: set[str] = set()
        self.unwanted: set[str] = set()
        self.down: set[str] = set()
        self.tokens = ["agent-token-0"]
        self.token_life = 30.0 * DAY
        self.sockets: list[ServerConnection] = []
        self.registered: dict[str, Any] = {}
        self.replays: dict[str, Any] = {}
        self._queue: list[dict[str, Any]] = []
        self._change = threading.Condition()
        self.server = LocalServer(self._answer, upgrade=self._socket)
        self.url = self.server.url

    @property
    def skew(self) -> float:
        return self.server.skew

    @skew.setter
    def skew(self, seconds: float) -> None:
        self.server.skew = seconds

    def now(self) -> float:
        return time.time() + self.skew

    def close(self) -> None:
        self.hang_up(1001)
        self.server.close()

    def send(self, command_id: str, command_type: str, *, lives: float = 300, **payload: Any) -> None:
        command = {"id": command_id, "tenant_id": "t", "agent_id": "a1", "command_type": command_type,
                   "payload": payload, "status": "dispatched", "result": None,
                   "expires_at": rfc3339(self.now() + lives)}  # fmt: skip
        with self._change:
            self._queue.append(command)
            self._change.notify_all()

    def hang_up(self, code: int) -> None:
        for socket in self.sockets[:]:
            with contextlib.suppress(Exception):
                socket.close(code)

    def outcome(self, command_id: str) -> dict[str, Any] | None:
        return (self.outcomes.get(command_id) or [None])[-1]

    def _next(self, seconds: float, lives: Callable[[], bool] = lambda: True) -> dict[str, Any] | None:
        with self._change:
            self._change.wait_for(lambda: bool(self._queue) or not lives(), seconds)
            return self._queue.pop(0) if self._queue and lives() else None

    def _answer(self, asked: Asked) -> Reply:
        self.calls.append(asked)
        path = asked.path.removeprefix("/api/v1")
        if path in self.refuses:
            return self.refuses[path]
        if path == "/agents/register":
            return self._register(asked)
        if asked.headers.get("authorization") not in [f"Bearer {token}" for token in self.tokens]:
            return refusal(401, "TOKEN_INVALID")
        if path == "/agents/token":
            return self._token(asked)
        if path == "/agents/heartbeat":
            return data({"status": "active"})
        if path == "/vm-ops/commands/next":
            return data(self._next(int(asked.query["timeout_ms"]) / 1000))
        if path.startswith("/vm-ops/commands/"):
            self._told(path.rsplit("/", 1)[1], asked.json())
            return data({})
        if path == "/agents/a1/secrets":
            return data(self.secrets)
        if path.endswith("/ack"):
            self.secret_acks.append((path.split("/")[-2], asked.json()["version"]))
            return data({})
        return refusal(404, "NOT_FOUND")

    def _register(self, asked: Asked) -> Reply:
        key = asked.headers.get("idempotency-key", "")
        if key in self.replays:
            return self.replays[key]
        if asked.json()["pairing_code"] != CODE:
            return refusal(404, "PAIRING_NOT_FOUND")
        if self.registered:
            return refusal(410, "PAIRING_EXPIRED")
        self.registered = asked.json()
        reply = data({"id": "a1", "tenant_id": "t", "name": "lab", "status": "active", "paired_at": rfc3339(self.now()),
                      "agent_token": self.tokens[-1],
                      "agent_token_expires_at": rfc3339(self.now() + self.token_life)}, 201)  # fmt: skip
        self.replays[key] = reply
        return reply

    def _token(self, asked: Asked) -> Reply:
        self.tokens.append(f"agent-token-{len(self.tokens)}")
        return data({"agent_token": self.tokens[-1], "agent_token_expires_at": rfc3339(self.now() + 30 * DAY)})

    def _told(self, command_id: str, body: dict[str, Any]) -> None:
        if body["status"] == "running":
            self.acks.append(command_id)
        else:
            self.outcomes.setdefault(command_id, []).append(body)

    def _socket(self, raw: Any) -> None:
        socket = ServerConnection(raw, ServerProtocol(), _Open(), close_timeout=1)

        def allowed(connection: ServerConnection, request: Any) -> Any:
            reply = self.upgrade
            if reply is None and request.headers.get("Authorization") not in [f"Bearer {one}" for one in self.tokens]:
                reply = refusal(401, "TOKEN_INVALID")
            if reply is None:
                return None
            response = connection.respond(reply.status, reply.body.decode())
            for name, value in reply.headers.items():
                response.headers[name] = value
            return response

        socket.handshake(allowed)
        if socket.protocol.state.name != "OPEN":
            return
        self.sockets.append(socket)
        try:
            socket.send(json.dumps({"type": "connected", "ts": rfc3339(self.now()), "transport": "ws"}))
            for text in socket:
                self._frame(socket, json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            self.sockets.remove(socket)

    def _frame(self, socket: ServerConnection, frame: dict[str, Any]) -> None:
        self.frames.append(frame)
        kind, back = frame["type"], {"ts": rfc3339(self.now()), "request_id": frame.get("request_id")}
        if kind in self.silent:
            return
        if kind in self.down:
            error = {"type": "error", "code": "SERVICE_UNAVAILABLE", "message": "Send this again shortly."}
            socket.send(json.dumps(error | back))
        elif kind == "heartbeat":
            socket.send(json.dumps({"type": "agent.heartbeat", "agent_id": "a1", "status": "active", **back}))
        elif kind == "next_command":
            threading.Thread(target=self._assign, args=(socket, frame["timeout_ms"] / 1000), daemon=True).start()
        elif frame.get("command_id") in self.unwanted:
            error = {"type": "error", "code": "COMMAND_NOT_FOUND", "message": "no such command"}
            socket.send(json.dumps(error | back))
        elif kind in ("agent.command.ack", "agent.command.result"):
            self._told(frame["command_id"], {"status": "running", **frame})
            socket.send(json.dumps({"type": kind, "command_id": frame["command_id"], "ts": back["ts"]}))

    def _assign(self, socket: ServerConnection, seconds: float) -> None:
        """As the real one: what cannot be handed to this socket stays in the queue for the next."""
        command = self._next(seconds, lambda: socket in self.sockets)
        try:
            socket.send(json.dumps({"type": "agent.command.assigned", "ts": rfc3339(self.now()), "command": command}))
        except ConnectionClosed:
            if command is not None:
                self._queue.insert(0, command)
