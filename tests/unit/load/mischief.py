"""A server that does to a connection what a bad release would."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.load import frames


@dataclass
class Request:
    """What was asked, on which connection, and as which request of that connection."""

    head: str
    body: bytes
    connection: int
    nth: int


# What to write for a request, and whether to close then.
Behaviour = Callable[[Request], tuple[bytes, bool]]


def answer(body: bytes = b"fine", status: int = 200) -> bytes:
    return b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


@dataclass
class Server:
    """Its port, and what it was asked."""

    port: int
    requests: list[Request] = field(default_factory=list)


@asynccontextmanager
async def serving(behaviour: Behaviour) -> AsyncIterator[Server]:
    """HTTP with kept connections."""
    seen = Server(0)
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        mine, nth, closing = connections, 0, False
        with contextlib.suppress(EOFError, OSError, asyncio.CancelledError):
            while not closing:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("Content-Length")), 0)
                nth += 1
                seen.requests.append(Request(head, await reader.readexactly(length), mine, nth))
                said, closing = behaviour(seen.requests[-1])
                writer.write(said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        seen.port = server.sockets[0].getsockname()[1]
        yield seen


def unmasked(opcode: int, payload: bytes) -> bytes:
    """A short frame as a server sends it."""
    return bytes([0x80 | opcode, len(payload)]) + payload


def closing(code: int) -> bytes:
    return unmasked(frames.CLOSE, code.to_bytes(2, "big"))


@asynccontextmanager
async def echoing(say: Callable[[int, int], bytes | None]) -> AsyncIterator[int]:
    """Websockets; yields the port. `say(connection, nth text)` gives what to send instead of an echo, or None."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        mine, nth = connections, 0
        with contextlib.suppress(EOFError, OSError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert "Upgrade: websocket" in head
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            while True:
                opcode, length = await reader.readexactly(2)
                mask, payload = await reader.readexactly(4), await reader.readexactly(length & 0x7F)
                text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
                if opcode & 0x0F == frames.CLOSE:
                    break
                nth += 1
                said = say(mine, nth)
                writer.write(unmasked(frames.TEXT, text) if said is None else said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
