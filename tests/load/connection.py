"""One kept connection, and the pool of those to one name.

Written on a bare protocol: at 500 requests a second, the layers of an HTTP client cost more than the core that the
generator may have, and none of them tells a connection that was closed while idle from an answer that was lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tests.load.answers import Answer, NotHttp, parse
from tests.load.plan import Plan

# A server that closes an idle connection does so whatever is on the way; one that read the request and then takes
# its time before it closes has lost an answer.
IDLE_CLOSE_SECONDS = 1.0


class Failed(Exception):
    """No answer: refused, broken, timed out, or not HTTP. The text begins with which."""


class IdleClosed(Exception):
    """The server closed a kept connection before any byte of an answer: the request is to be sent again."""


class Withdrawn(Exception):
    """The load ended before it was the request's turn: it was never sent."""


class Connection(asyncio.Protocol):
    """A connection that carries one exchange at a time.

    Args:
        on_idle_close: called when the server closes it while it may be kept, a request on the way or not.
    """

    def __init__(self, on_idle_close: Callable[[], None]) -> None:
        self.answers = 0
        self.usable = False
        self._on_idle_close = on_idle_close
        self._received = bytearray()
        self._waiter: asyncio.Future[Answer] | None = None
        self._sent_at = 0.0

    async def exchange(self, request: bytes, timeout: float) -> Answer:
        """Send, and wait for the whole answer. Raises Failed, IdleClosed; the connection is then closed."""
        self._received.clear()
        self._sent_at = time.monotonic()
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            async with asyncio.timeout(timeout):
                answer = await self._waiter
        except TimeoutError:
            self.close()
            raise Failed(f"timeout: no whole answer within {timeout:g} s") from None
        finally:
            self._waiter = None
        self.answers += 1
        if not answer.kept:
            self.close()
        return answer

    def close(self) -> None:
        """Leave it, from this side."""
        self.usable = False
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.usable = True

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._waiter is None or self._waiter.done():
            self.close()  # nothing was asked
            return
        try:
            answer = parse(self._received)
        except NotHttp as error:
            self._waiter.set_exception(Failed(f"broken: {error}"))
            self.close()
            return
        if answer:
            self._waiter.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        by_server, self.usable = self.usable, False
        idle = self.answers > 0
        if self._waiter and not self._waiter.done():
            idle = idle and not self._received and time.monotonic() - self._sent_at < IDLE_CLOSE_SECONDS
            what = f"broken: closed after {len(self._received)} bytes of an answer ({error or 'end of stream'})"
            self._waiter.set_exception(IdleClosed() if idle else Failed(what))
        if by_server and idle:
            self._on_idle_close()


class Pool:
    """Kept connections to one name, taken in turn so that all of them stay in use.

    Args:
        on_idle_close: called for every kept connection that the server closes.
        on_resend: called when a request is sent again because of that.
    """

    def __init__(
        self, plan: Plan, host: str, size: int, on_idle_close: Callable[[], None], on_resend: Callable[[], None]
    ) -> None:
        self._plan, self._host, self._tls = plan, host, plan.tls
        self._on_idle_close, self._on_resend = on_idle_close, on_resend
        self._ended = False
        self._free: asyncio.Queue[Connection | None] = asyncio.Queue()
        for _ in range(size):
            self._free.put_nowait(None)

    async def ask(self, request: bytes) -> Answer:
        """The answer to a request, over the connection whose turn it is. Raises Failed, Withdrawn."""
        connection = await self._free.get()
        try:
            if self._ended:
                raise Withdrawn
            if connection and connection.usable:
                try:
                    return await connection.exchange(request, self._plan.timeout)
                except IdleClosed:
                    self._on_resend()
            connection = await self._open()
            return await connection.exchange(request, self._plan.timeout)
        finally:
            self._free.put_nowait(connection)

    async def ask_apart(self, request: bytes) -> Answer:
        """The answer to a request over a connection of its own. Raises Failed."""
        connection = await self._open()
        try:
            await asyncio.sleep(self._plan.distance)
            if not connection.usable:
                raise Failed("broken: closed before anything was asked")
            return await connection.exchange(request, self._plan.timeout)
        finally:
            connection.close()

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        name = self._host if self._tls else None
        try:
            async with asyncio.timeout(self._plan.timeout):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._on_idle_close),
                    self._plan.address,
                    self._plan.port,
                    ssl=self._tls,
                    server_hostname=name,
                )
        except TimeoutError:
            raise Failed(f"timeout: no connection within {self._plan.timeout:g} s") from None
        except OSError as error:
            raise Failed(f"refused: {error}") from error
        return connection

    def end(self) -> None:
        """Send no more of what waits for its turn: on a host that cannot keep up, that may be thousands."""
        self._ended = True

    def close(self) -> None:
        """Close what is idle; call it when nothing is asked any more."""
        while not self._free.empty():
            connection = self._free.get_nowait()
            if connection and connection.usable:
                connection.close()
