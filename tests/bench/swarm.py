"""Thousands of light agents in one process of their own: `python -m tests.bench.swarm PORT` (a driver starts it).

Tokens come on standard input, one a line, up to an empty line; `{"ready": …}` goes out when all have been greeted.
Then each asks for commands, acknowledges one and sends its result at once. After `end` on standard input the times
go out, by command: milliseconds of the machine's monotonic clock when it was handed out and when its result was taken.

The frames are written by hand: 200 commands a second with a library in between would measure the library.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import sys
import time
from typing import Any

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
# Servers want every frame masked; nothing says that the mask may not be zero.
MASK = b"\0\0\0\0"
AT_ONCE = 50
WAIT_MS = 120_000


def frame(opcode: int, payload: bytes) -> bytes:
    """A whole frame of up to 64 KiB, as a client sends it (RFC 6455)."""
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack("!H", len(payload))
    return bytes([0x80 | opcode]) + length + MASK + payload


def frames(buffer: bytearray) -> list[tuple[int, bytes]]:
    """What is complete in there, taken out."""
    found = []
    while len(buffer) >= 2:
        size, head = buffer[1] & 0x7F, 2
        if size == 126:
            size, head = int.from_bytes(buffer[2:4]), 4
        elif size == 127:
            size, head = int.from_bytes(buffer[2:10]), 10
        if len(buffer) < head + size:
            break
        found.append((buffer[0] & 0x0F, bytes(buffer[head : head + size])))
        del buffer[: head + size]
    return found


def now() -> float:
    return time.monotonic() * 1000


class Agent(asyncio.Protocol):
    """One socket. `times` gets what happens to each command: [handed out, result taken]."""

    def __init__(self, token: str, times: dict[str, list[float]], greeted: asyncio.Event) -> None:
        self._token, self._times, self._greeted = token, times, greeted
        self._buffer = bytearray()
        self._open = False
        self.lost = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(
            b"GET /api/v1/agents/ws HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Authorization: Bearer " + self._token.encode() + b"\r\n\r\n"
        )

    def connection_lost(self, _why: Exception | None) -> None:
        self.lost = True
        self._greeted.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open:
            head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._open, self._buffer = True, bytearray(rest)
        for opcode, payload in frames(self._buffer):
            if opcode == PING:
                self._transport.write(frame(PONG, payload))
            elif opcode == TEXT:
                self._heard(json.loads(payload))

    def _heard(self, said: dict[str, Any]) -> None:
        match said["type"]:
            case "connected":
                self._greeted.set()
                self._say(type="next_command", timeout_ms=WAIT_MS)
            case "agent.command.assigned":
                if said["command"] is not None:
                    command = said["command"]["id"]
                    self._times[command] = [now(), 0.0]
                    about = {"command_id": command, "agent_id": said["command"]["agent_id"]}
                    self._say(type="agent.command.ack", **about)
                    self._say(type="agent.command.result", **about, status="succeeded", result={"done": True})
                self._say(type="next_command", timeout_ms=WAIT_MS)
            case "agent.command.result":
                self._times[said["command_id"]][1] = now()
            case "error":
                print(json.dumps(said), file=sys.stderr, flush=True)

    def _say(self, **said: Any) -> None:
        self._transport.write(frame(TEXT, json.dumps(said).encode()))


async def main() -> None:
    loop = asyncio.get_running_loop()
    host, port = os.environ.get("SWARM_HOST", "127.0.0.1"), int(sys.argv[1])
    tokens = list(iter(lambda: sys.stdin.readline().strip(), ""))
    times: dict[str, list[float]] = {}
    agents, doors = [], asyncio.Semaphore(AT_ONCE)

    async def enter(token: str) -> None:
        async with doors:
            greeted = asyncio.Event()
            _, agent = await loop.create_connection(lambda: Agent(token, times, greeted), host, port)
            await asyncio.wait_for(greeted.wait(), 60)
            agents.append(agent)

    began = now()
    await asyncio.gather(*(enter(token) for token in tokens))
    print(json.dumps({"ready": len(agents), "seconds": (now() - began) / 1000}), flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    print(json.dumps({"times": times, "lost": sum(agent.lost for agent in agents)}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
