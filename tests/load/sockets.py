"""Websockets that stay open, echo once a second, and come back when they are told to."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time

from tests.load import frames
from tests.load.plan import API, SOCKET, Plan
from tests.load.tally import Tally

BEAT_SECONDS = 1.0
ECHO_SECONDS = 5.0
# All of them are told at once: as agents do, they do not come back at once.
JITTER_SECONDS = 0.5
# On a machine that is busy with a hundred handshakes besides.
OPEN_SECONDS = 30.0
TOLD = 1012
CUT = 1006

_UPGRADE = (
    f"GET {SOCKET} HTTP/1.1\r\nHost: {API}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: bW9vcmFnZS1wcmFjdGljZQ==\r\n\r\n"
)


class Ended(Exception):
    """The socket is closed, with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Line:
    """One open websocket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._received = bytearray()

    async def upgrade(self) -> str:
        """Ask for the upgrade; return '' or what was said instead."""
        self._writer.write(_UPGRADE.encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        return "" if head.startswith(b"HTTP/1.1 101 ") else head.partition(b"\r\n")[0].decode()

    def say(self, text: str) -> None:
        """Send a text."""
        self._writer.write(frames.masked(frames.TEXT, text.encode()))

    async def hear(self, until: float) -> str | None:
        """The next text, or None when it is `until` (monotonic). Raises Ended."""
        while True:
            while frame := frames.take(self._received):
                if frame.opcode == frames.TEXT:
                    return frame.payload.decode()
                if frame.opcode == frames.PING:
                    self._writer.write(frames.masked(frames.PONG, frame.payload))
                if frame.opcode == frames.CLOSE:
                    self._writer.write(frames.masked(frames.CLOSE, frame.payload[:2]))
                    raise Ended(frame.code)
            try:
                async with asyncio.timeout_at(until):
                    data = await self._reader.read(4096)
            except TimeoutError:
                return None
            except OSError:
                raise Ended(CUT) from None
            if not data:
                raise Ended(CUT)
            self._received += data

    def close(self) -> None:
        """Leave."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.close()


class Sockets:
    """As many sockets as the plan says, each of them one task."""

    def __init__(self, plan: Plan, tally: Tally) -> None:
        self._plan, self._tally, self._tls = plan, tally, plan.tls
        self._tasks: list[asyncio.Task[None]] = []
        self._here: set[int] = set()

    @property
    def away(self) -> int:
        """How many of them are not open."""
        return self._plan.sockets - len(self._here)

    async def begin(self) -> None:
        """Open all of them, and return when each has echoed. Raises TimeoutError."""
        self._tasks = [asyncio.create_task(self._live(number)) for number in range(self._plan.sockets)]
        async with asyncio.timeout(OPEN_SECONDS):
            while self.away:
                await asyncio.sleep(0.05)

    async def end(self) -> None:
        """Close all of them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _live(self, number: int) -> None:
        beat, ended = 0, None
        while True:
            await asyncio.sleep(random.uniform(0, JITTER_SECONDS))
            line = await self._open()
            if line is None:
                continue
            try:
                # A text that was on its way when the socket was closed is owed: it is sent again on the new one.
                await self._echo(line, f"{number} {beat}")
                self._here.add(number)
                if ended is not None:
                    self._tally.now.window.back.append(time.monotonic() - ended)
                    ended = None
                while True:
                    await line.hear(time.monotonic() + BEAT_SECONDS)
                    beat += 1
                    await self._echo(line, f"{number} {beat}")
            except Ended as end:
                ended = ended or time.monotonic()
                self._here.discard(number)
                self._closed(number, end.code)
            finally:
                line.close()

    def _closed(self, number: int, code: int) -> None:
        where = self._tally.now
        where.window.codes[code] = where.window.codes.get(code, 0) + 1
        if code != TOLD:
            self._tally.say(where, f"socket {number} ended with {code}")

    async def _echo(self, line: Line, text: str) -> None:
        line.say(text)
        end = time.monotonic() + ECHO_SECONDS
        while (heard := await line.hear(end)) != text:
            if heard is None:
                self._tally.now.window.echoes_lost += 1
                self._tally.say(self._tally.now, f"no echo of {text!r} within {ECHO_SECONDS:g} s")
                raise Ended(CUT)
        self._tally.now.window.echoes += 1

    async def _open(self) -> Line | None:
        name = API if self._tls else None
        where = self._plan.address, self._plan.port
        line = None
        try:
            async with asyncio.timeout(self._plan.timeout):
                line = Line(*await asyncio.open_connection(*where, ssl=self._tls, server_hostname=name))
                refused = await line.upgrade()
        except (OSError, EOFError, TimeoutError) as error:
            refused = repr(error)
        if line and not refused:
            return line
        if line:
            line.close()
        self._tally.now.window.upgrades_refused += 1
        self._tally.say(self._tally.now, f"an upgrade was refused: {refused}")
        return None
