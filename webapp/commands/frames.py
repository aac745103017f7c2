"""The agents' frames: read strictly enough to act on, refused in the contract's words. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from webapp.bodies import refuse_unstorable
from webapp.commands.schemas import LONGEST_ERROR, LONGEST_WORDS
from webapp.commands.states import RESULTS
from webapp.errors import MoorageError
from webapp.fields import Identifier, OpenObject, Text, Whole, uuid_of
from webapp.responses import rfc3339

MAX_FRAME_BYTES = 256 * 1024
SHORTEST_WAIT_MS, LONGEST_WAIT_MS, WAIT_MS = 1000, 120_000, 25_000
LONGEST_REQUEST_ID = 200
LARGEST_REQUEST_ID = 2**53

HEARTBEAT, NEXT = "heartbeat", "next_command"
ACK, PROGRESS, RESULT = "agent.command.ack", "agent.command.progress", "agent.command.result"
RequestId = str | int | None


class FrameRefused(Exception):
    """What the agent is told: a code, words, and the number it gave the frame."""

    def __init__(self, code: str, words: str, request_id: RequestId = None) -> None:
        super().__init__(words)
        self.code, self.words, self.request_id = code, words, request_id


class _Frame(Schema):
    class Meta:
        unknown = EXCLUDE  # a newer agent may say more than this version understands


class Percent(fields.Field[float]):
    """A number from 0 to 100; not a text that looks like one."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
            raise ValidationError("A number from 0 to 100.")
        return float(value)


class _Heartbeat(_Frame):
    status = Text(100, allow_none=True)
    metadata = OpenObject(allow_none=True)


class _Next(_Frame):
    timeout_ms = Whole(SHORTEST_WAIT_MS, LONGEST_WAIT_MS, load_default=WAIT_MS)


class _OfCommand(_Frame):
    command_id = Identifier(required=True)


class _Progress(_OfCommand):
    progress = Percent(allow_none=True)
    message = Text(LONGEST_WORDS, low=0, allow_none=True)


class _Result(_OfCommand):
    status = fields.String(required=True, validate=validate.OneOf(tuple(RESULTS)))
    result = fields.Raw(allow_none=True)
    error_message = Text(LONGEST_ERROR, low=0, allow_none=True)


_KINDS: dict[str, Schema] = {
    HEARTBEAT: _Heartbeat(),
    NEXT: _Next(),
    ACK: _OfCommand(),
    PROGRESS: _Progress(),
    RESULT: _Result(),
}
_NAMES_ITS_AGENT = (ACK, PROGRESS, RESULT)


@dataclass(frozen=True)
class Frame:
    """What an agent said, loaded. `request_id` goes back with the answer."""

    kind: str
    request_id: RequestId
    said: dict[str, Any] = field(default_factory=dict)


def read(message: str | bytes, agent: UUID) -> Frame:
    """The frame that a message of this agent's is. Raises FrameRefused."""
    try:
        parsed = orjson.loads(message) if isinstance(message, str) else None
    except orjson.JSONDecodeError:
        raise FrameRefused("INVALID_JSON", "This frame is not JSON.") from None
    if not isinstance(parsed, dict):
        raise FrameRefused("INVALID_MESSAGE", "A frame is a JSON object in a text message.")
    number = parsed.get("request_id")
    if not _is_number(number):
        raise FrameRefused("INVALID_MESSAGE", f"request_id is a string of at most {LONGEST_REQUEST_ID} characters.")
    kind = parsed.get("type")
    schema = _KINDS.get(kind) if isinstance(kind, str) else None
    if schema is None:
        raise FrameRefused("INVALID_MESSAGE", "type is none of: " + ", ".join(_KINDS), number)
    _check_agent(str(kind), parsed.get("agent_id"), agent, number)
    try:
        refuse_unstorable(parsed, message.encode() if isinstance(message, str) else message)
        return Frame(str(kind), number, dict(schema.load(parsed)))
    except ValidationError as error:
        raise FrameRefused("INVALID_MESSAGE", _words(error.messages), number) from None
    except MoorageError as error:
        raise FrameRefused("INVALID_MESSAGE", str(error), number) from None


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_REQUEST_ID
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST_REQUEST_ID)


def _check_agent(kind: str, named: Any, agent: UUID, number: RequestId) -> None:
    if named is None:
        if kind in _NAMES_ITS_AGENT:
            raise FrameRefused("MISSING_AGENT_ID", "This frame needs the agent_id.", number)
        return
    if not isinstance(named, str):
        raise FrameRefused("INVALID_MESSAGE", "agent_id is a string.", number)
    if uuid_of(named) != agent:
        raise FrameRefused("FORBIDDEN", "agent_id is not that of the agent whose token opened this socket.", number)


def _words(messages: Any) -> str:
    if not isinstance(messages, dict):
        return str(messages)
    return " ".join(f"{name}: {' '.join(map(str, said)) if isinstance(said, list) else said}"
                    for name, said in messages.items())  # fmt: skip


def answer(kind: str, request_id: RequestId, **said: Any) -> str:
    """A frame of ours. `request_id` is left out where the agent gave none."""
    frame = {"type": kind, "ts": rfc3339(), **said}
    if request_id is not None:
        frame["request_id"] = request_id
    return orjson.dumps(frame).decode()


def refusal(refused: FrameRefused) -> str:
    return answer("error", refused.request_id, code=refused.code, message=refused.words)
