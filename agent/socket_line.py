"""The socket: JSON text frames, one reader, any number of senders."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from websockets.exceptions import ConnectionClosed
from websockets.sync.connection import Connection

from agent.commands import Outcome, parse
from agent.desk import Desk
from agent.lines import ANSWER_SECONDS, Lost, Unwanted
from agent.pace import Backoff, Pace, ServerClock, timestamp

log = logging.getLogger("agent.socket")

MOST_FRAME_BYTES = 256 * 1024
HEARTBEAT_SECONDS = 30.0
ASK_SECONDS = 25.0
# A server that answers neither with a command nor with null this long after the time asked for has forgotten us.
OVERDUE_SECONDS = 20.0
# After an error in answer to next_command: a server that refuses is not asked in a tight circle.
REFUSED_SECONDS = 5.0
# Codes that refuse a frame for now only: its database is away, and a result that is thrown away now is lost for good.
FOR_NOW = frozenset({"SERVICE_UNAVAILABLE"})
# The longest rest before the same frame is sent again. Shorter than between connections: this one is open anyway.
LONGEST_REST = 10.0

ACK, PROGRESS, RESULT = "agent.command.ack", "agent.command.progress", "agent.command.result"
# Answers of the server after which a command is not to be run.
_OVER = ("succeeded", "failed", "expired", "cancelled")


@dataclass
class _Question:
    kind: str
    command_id: str
    answered: threading.Event = field(default_factory=threading.Event)
    answer: dict[str, Any] | None = None


class SocketLine:
    """`status` gives the heartbeat's metadata. The reader's thread is the one that calls `read`."""

    def __init__(
        self,
        socket: Connection,
        agent_id: str,
        desk: Desk,
        *,
        clock: ServerClock,
        pace: Pace,
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self._socket, self._agent_id, self._desk = socket, agent_id, desk
        self._clock, self._pace, self._status = clock, pace, status
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._questions: dict[str, _Question] = {}
        self._asked: tuple[str, float] | None = None
        self._ask_not_before = 0.0
        self._over = threading.Event()
        self.greeted = False

    def read(self) -> None:
        """Reads until the connection ends; always ends by raising Lost."""
        next_beat = self._pace.now()
        try:
            while True:
                now = self._pace.now()
                if now >= next_beat:
                    self._send("heartbeat", agent_id=self._agent_id, metadata=self._status())
                    next_beat = now + HEARTBEAT_SECONDS
                self._check_overdue(now)
                self.wanted()
                with contextlib.suppress(TimeoutError):
                    self._take(self._socket.recv(timeout=min(next_beat - now, REFUSED_SECONDS)))
        except ConnectionClosed as closed:
            raise self._lost(closed) from closed
        finally:
            self._desk.detach(self)
            self._over.set()
            with self._lock:
                for question in self._questions.values():
                    question.answered.set()

    def acknowledge(self, command_id: str) -> None:
        answer = self._ask_and_wait(ACK, command_id)
        if answer.get("status") in _OVER:
            raise Unwanted(f"it is {answer['status']}")

    def progress(self, command_id: str, percent: int | None, message: str) -> None:
        fields: dict[str, Any] = {"command_id": command_id, "agent_id": self._agent_id, "message": message}
        if percent is not None:
            fields["progress"] = max(0, min(100, percent))
        with contextlib.suppress(Lost):
            self._send(PROGRESS, **fields)

    def deliver(self, command_id: str, outcome: Outcome) -> None:
        self._ask_and_wait(RESULT, command_id, **outcome.fields())

    def wanted(self) -> None:
        """Asks for the next command, where one may come and none is asked for yet."""
        now = self._pace.now()
        with self._lock:
            if self._asked is not None or not self.greeted or now < self._ask_not_before or not self._desk.free():
                return
            number = self._number()
            self._asked = (number, now)
        with contextlib.suppress(Lost):
            self._send("next_command", number, agent_id=self._agent_id, timeout_ms=int(ASK_SECONDS * 1000))

    def close(self, code: int = 1000) -> None:
        self._socket.close(code)

    def _number(self) -> str:
        return f"{next(self._numbers)}"

    def _send(self, kind: str, number: str | None = None, **fields: Any) -> None:
        frame = {"type": kind, "request_id": number or self._number(), **fields}
        try:
            self._socket.send(orjson.dumps(frame).decode())
        except ConnectionClosed as closed:
            raise self._lost(closed) from closed
        except OSError as error:
            raise Lost(str(error)) from error

    def _ask_and_wait(self, kind: str, command_id: str, **fields: Any) -> dict[str, Any]:
        """The answer, sending again for as long as the server cannot take it just now. Raises Lost, Unwanted."""
        backoff = Backoff(longest=LONGEST_REST)
        while True:
            answer = self._ask_once(kind, command_id, fields)
            if answer.get("type") != "error":
                return answer
            if answer.get("code") not in FOR_NOW:
                raise Unwanted(f"{answer.get('code')}: {answer.get('message')}")
            rest = backoff.next()
            said = {"command_id": command_id, "frame": kind, "code": answer.get("code"), "wait": round(rest, 1)}
            log.warning("The server cannot take a frame now; it is sent again", extra=said)
            if self._over.wait(rest):
                raise Lost(f"the connection ended before {kind} could be sent again")

    def _ask_once(self, kind: str, command_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        """The answer, an error too. Raises Lost."""
        number = self._number()
        question = _Question(kind, command_id)
        with self._lock:
            self._questions[number] = question
        try:
            self._send(kind, number, command_id=command_id, agent_id=self._agent_id, **fields)
            answered = question.answered.wait(ANSWER_SECONDS)
        finally:
            with self._lock:
                self._questions.pop(number, None)
        if question.answer is None:
            if not answered:
                # Somewhere between here and there frames go astray; a new connection is the cure.
                self._socket.close(1002, "no answer")
            raise Lost(f"no answer to {kind}")
        return question.answer

    def _take(self, text: str | bytes) -> None:
        try:
            frame = orjson.loads(text)
        except orjson.JSONDecodeError:
            frame = None
        if not isinstance(frame, dict):
            log.warning("A frame that is no JSON object was passed over")
            return
        kind = frame.get("type")
        if kind in ("connected", "agent.heartbeat"):
            self._clock.heard(timestamp(frame.get("ts")))
            if kind == "connected":
                self.greeted = True
                self._desk.attach(self)
        elif kind == "agent.command.assigned":
            with self._lock:
                self._asked = None
            if (command := parse(frame.get("command"))) is not None:
                self._desk.take(command)
            elif frame.get("command") is not None:
                log.error("A command without an id or a type was passed over")
        elif kind == "error":
            self._refused(frame)
        elif kind in (ACK, RESULT):
            self._answered(frame)

    def _refused(self, frame: dict[str, Any]) -> None:
        number = str(frame.get("request_id"))
        with self._lock:
            question = self._questions.get(number)
            if self._asked is not None and self._asked[0] == number:
                self._asked = None
                self._ask_not_before = self._pace.now() + REFUSED_SECONDS
        if question is not None:
            question.answer = frame
            question.answered.set()
        else:
            log.warning("The server refused a frame", extra={"code": frame.get("code"), "words": frame.get("message")})

    def _answered(self, frame: dict[str, Any]) -> None:
        """By number where the server gives it back, by command otherwise."""
        with self._lock:
            question = self._questions.get(str(frame.get("request_id")))
            if question is None:
                same = (frame.get("type"), frame.get("command_id"))
                question = next((one for one in self._questions.values() if (one.kind, one.command_id) == same), None)
        if question is not None:
            question.answer = frame
            question.answered.set()

    def _check_overdue(self, now: float) -> None:
        if self._asked is not None and now - self._asked[1] > ASK_SECONDS + OVERDUE_SECONDS:
            self._socket.close(1002, "no answer")

    @staticmethod
    def _lost(closed: ConnectionClosed) -> Lost:
        if closed.rcvd is None:
            return Lost("the connection broke")
        return Lost(f"closed with {closed.rcvd.code} {closed.rcvd.reason}".rstrip(), closed.rcvd.code)
