"""`python -m tests.load.generator`: makes the load that standard input asks for, in a process of its own.

Standard input: the plan, then `mark NAME` and `stop`, a line each. Standard output: `ready` once every socket is open,
`marked` for each mark, and the report as the last line. The end of standard input stops it too.
"""

from __future__ import annotations

import asyncio
import sys
import time

from tests.load.connection import Failed, Pool, Withdrawn
from tests.load.plan import Ask, Plan
from tests.load.report import Report
from tests.load.sockets import Sockets
from tests.load.tally import Open, Tally


class Generator:
    """Requests at a fixed rate, whatever becomes of those before: none is left out because the host is slow."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.tally = Tally(plan.run)
        self._sockets = Sockets(plan, self.tally)
        self._pools = {
            host: Pool(plan, host, self._share(host), self._idle_closed, self._resent)
            for host in {ask.host for ask in plan.asks}
        }
        self._running: set[asyncio.Task[None]] = set()
        self._pace: asyncio.Task[None] | None = None

    def _share(self, host: str) -> int:
        asks = self._plan.asks
        return max(1, round(self._plan.connections * sum(ask.host == host for ask in asks) / len(asks)))

    async def begin(self) -> None:
        """Open the sockets, then begin with the requests."""
        await self._sockets.begin()
        self._pace = asyncio.create_task(self._keep_pace())

    async def end(self) -> Report:
        """Stop, wait for the answers that are still out, and report."""
        if self._pace:
            self._pace.cancel()
        for pool in self._pools.values():
            pool.end()
        await asyncio.gather(*self._running)
        report = self.tally.report(self._sockets.away)
        await self._sockets.end()
        for pool in self._pools.values():
            pool.close()
        return report

    async def _keep_pace(self) -> None:
        begun, number = time.monotonic(), 0
        while True:
            ask = self._plan.asks[number % len(self._plan.asks)]
            due = begun + number / self._plan.rate
            early = due - time.monotonic()
            if early > 0:
                await asyncio.sleep(early)
            apart = self._plan.fresh > 0 and number % self._plan.fresh == 0
            task = asyncio.create_task(self._send(ask, due + (self._plan.distance if apart else 0), apart))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            number += 1

    async def _send(self, ask: Ask, due: float, apart: bool) -> None:
        where = self.tally.now
        where.window.sent += 1
        where.window.lag = max(where.window.lag, (time.monotonic() - due) * 1000)
        post = self.tally.post() if ask.method == "POST" else None
        wanted = ask.holds if post is None else f'"{self._plan.run}-{post}"'
        pool = self._pools[ask.host]
        try:
            answer = await (pool.ask_apart if apart else pool.ask)(_request(ask, wanted if post is not None else None))
        except Withdrawn:
            self.tally.withdrawn(where, post)
            return
        except Failed as error:
            self._failed(where, due, ask, str(error), post)
            return
        if answer.status != ask.status or wanted.encode() not in answer.body:
            self._failed(where, due, ask, f"{answer.status}: {answer.body[:120]!r}", post)
            return
        self.tally.answered(where, (time.monotonic() - due) * 1000)

    def _failed(self, where: Open, due: float, ask: Ask, why: str, post: int | None) -> None:
        words = f"{ask.method} {ask.host}{ask.path}{'' if post is None else f' #{post}'}: {why}"
        self.tally.failed(where, (time.monotonic() - due) * 1000, words, post)

    def _idle_closed(self) -> None:
        self.tally.now.window.idle_closed += 1

    def _resent(self) -> None:
        self.tally.now.window.resent += 1


def _request(ask: Ask, post: str | None) -> bytes:
    head = f"{ask.method} {ask.path} HTTP/1.1\r\nHost: {ask.host}\r\nUser-Agent: moorage-load\r\n"
    if post is None:
        return f"{head}\r\n".encode()
    body = f'{{"id":{post}}}'
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


async def _serve() -> None:
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    generator = Generator(Plan.from_json((await lines.readline()).decode()))
    await generator.begin()
    _tell("ready")
    while line := (await lines.readline()).decode().rstrip("\n"):
        command, _, rest = line.partition(" ")
        if command == "stop":
            break
        generator.tally.mark(rest)
        _tell("marked")
    _tell((await generator.end()).to_json())


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
