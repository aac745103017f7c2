"""What an agent may say on its socket, and what it should not but may: whatever it is, the socket stays open."""

from __future__ import annotations

import json
import random
from typing import Any

from tests.api.fuzz.odd import DEEP, ODD_JSON, ODD_LITERALS, ODD_VALUES
from tests.api.fuzz.wire_frames import BINARY, LIMIT, TEXT, Burst, control, pieces, whole
from webapp.commands import frames

KINDS = [*frames._KINDS, "connected", "error", "agent.heartbeat", "", "nothing", None, 1, [], {}]
NAMES = [
    "type", "request_id", "agent_id", "command_id", "status", "metadata", "timeout_ms", "progress", "message", "result",
    "error_message", "unknown", "", "\x00", "__proto__",
]  # fmt: skip


def burst(dice: random.Random, agent: str, commands: list[str], count: int) -> Burst:
    """`count` messages at once, each whole or in fragments."""
    data, number, kinds = b"", 0, set()
    for _ in range(count):
        kind = dice.choices(("text", "bytes", "binary", "control", "large"), (70, 12, 6, 10, 0.5))[0]
        kinds.add(kind)
        if kind == "control":
            data, number = data + control(dice), number + 1
            continue
        opcode = BINARY if kind == "binary" else TEXT
        payload = _payload(dice, kind, agent, commands)
        if dice.random() < 0.25:
            more, frames_of_it = pieces(payload, dice, opcode=opcode)
        else:
            more, frames_of_it = whole(payload, opcode), 1
        data, number = data + more, number + frames_of_it
    return Burst("+".join(sorted(kinds)), data, number)


def _payload(dice: random.Random, kind: str, agent: str, commands: list[str]) -> bytes:
    match kind:
        case "binary":
            return dice.choice((dice.randbytes(dice.randrange(300)), b"", b'{"type":"heartbeat"}', b"\xff" * 1000))
        case "large":
            # Up to the limit, and not over it.
            long = b'{"type":"heartbeat","x":"' + b"y" * (LIMIT - 100) + b'"}'
            return dice.choice((b"x" * LIMIT, long, b"[" * DEEP * 20))
        case "bytes":
            return _text_only(dice.choice(ODD_JSON))
    said = _frame(dice, agent, commands)
    for _ in range(dice.choice((0, 0, 1, 1, 2))):
        said[dice.choice(NAMES)] = dice.choice(ODD_VALUES)
    text = json.dumps(said, ensure_ascii=dice.random() < 0.5).encode("utf-8", "replace")
    if dice.random() < 0.1:
        mark = "@@literal@@"
        text = json.dumps({**said, dice.choice(NAMES): mark}).encode()
        text = text.replace(f'"{mark}"'.encode(), dice.choice(ODD_LITERALS))
    if dice.random() < 0.1:
        at = dice.randrange(len(text))
        text = text[:at] + dice.choice((b"", b"\x00", b'"', b"{", b"\\", b"}")) + text[at + 1 :]
    return _text_only(text)[:LIMIT]


def _text_only(payload: bytes) -> bytes:
    """A text message must be UTF-8; what is not belongs to the violations."""
    return payload.decode("utf-8", "replace").encode()[:LIMIT].decode("utf-8", "ignore").encode()


def _frame(dice: random.Random, agent: str, commands: list[str]) -> dict[str, Any]:
    command = dice.choice([*commands, "00000000-0000-0000-0000-000000000000"])
    said: dict[str, Any] = {"type": dice.choice(KINDS), "request_id": dice.choice(("r", 7, None)), "agent_id": agent}
    match said["type"]:
        case frames.HEARTBEAT:
            said |= {"status": "busy", "metadata": {"load": dice.choice(ODD_VALUES)}}
        case frames.NEXT:
            said["timeout_ms"] = dice.choice((1000, 120_000, 999, 120_001))
        case frames.ACK:
            said["command_id"] = command
        case frames.PROGRESS:
            said |= {"command_id": command, "progress": dice.choice((0, 50, 100, 101, 1e308, -0.0)), "message": "m"}
        case frames.RESULT:
            said |= {"command_id": command, "status": dice.choice(("succeeded", "failed", "cancelled", "nothing"))}
            said["result"] = dice.choice(ODD_VALUES)
    return said
