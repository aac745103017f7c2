"""Many light agents in one process, each with a journal that outlives it: what a real agent does, without the work.

An agent writes down what it is handed, acknowledges that until it is answered, writes down that it begins, takes
effect, writes the outcome down, and delivers that until it is taken. What it had begun when it was killed it reports as
failed, and never begins again.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import threading
from collections import Counter
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.api.fleet import Fleeted

LOST = (OSError, WebSocketException, TimeoutError, EOFError)


class Simulated:
    """One agent. `effects` counts what each command has done to the world."""

    def __init__(self, agent: Fleeted, ports: list[int], effects: Counter[str], dice: random.Random) -> None:
        self._agent, self._ports, self._effects, self._dice = agent, ports, effects, dice
        # What is on its disk: commands that were accepted, those that were begun, and outcomes the server has not yet.
        self._accepted: list[str] = []
        self._begun: set[str] = set()
        self._undelivered: set[str] = set()
        self._outcomes: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count()

    async def live(self) -> None:
        """From a start to being killed (cancelled)."""
        for command in self._begun - self._outcomes.keys():
            self._keep(command, {"status": "failed", "error_message": "INTERRUPTED"})
        while True:
            uri = f"ws://127.0.0.1:{self._dice.choice(self._ports)}/api/v1/agents/ws"
            headers = {"Authorization": f"Bearer {self._agent.token}"}
            with contextlib.suppress(*LOST):
                async with connect(uri, additional_headers=headers, compression=None, close_timeout=0) as socket:
                    await socket.recv()
                    await self._serve(socket)
            await asyncio.sleep(self._dice.uniform(0.05, 0.5))

    async def _serve(self, socket: ClientConnection) -> None:
        while True:
            for command in tuple(self._undelivered):
                await self._deliver(socket, command)
            for command in tuple(self._accepted):
                await self._run(socket, command)
            answer = await self._ask(socket, type="next_command", timeout_ms=5000)
            if answer.get("command") is not None:
                self._take(answer["command"]["id"])

    def _take(self, command: str) -> None:
        if command in self._outcomes:  # handed out again: answered from the journal
            self._undelivered.add(command)
        elif command not in self._accepted:
            self._accepted.append(command)

    async def _run(self, socket: ClientConnection, command: str) -> None:
        answer = await self._about(socket, "ack", command)
        if answer.get("code") == "SERVICE_UNAVAILABLE":
            return
        self._accepted.remove(command)
        if answer["type"] == "error":
            return
        self._begun.add(command)
        await asyncio.sleep(self._dice.uniform(0, 0.01))
        self._effects[command] += 1
        self._keep(command, {"status": "succeeded", "result": {"effect": command}})

    def _keep(self, command: str, outcome: dict[str, Any]) -> None:
        self._outcomes[command] = outcome
        self._undelivered.add(command)

    async def _deliver(self, socket: ClientConnection, command: str) -> None:
        answer = await self._about(socket, "result", command, **self._outcomes[command])
        if answer.get("code") != "SERVICE_UNAVAILABLE":
            self._undelivered.discard(command)

    async def _about(self, socket: ClientConnection, kind: str, command: str, **said: Any) -> dict[str, Any]:
        return await self._ask(
            socket, type=f"agent.command.{kind}", command_id=command, agent_id=self._agent.id, **said
        )

    async def _ask(self, socket: ClientConnection, **frame: Any) -> dict[str, Any]:
        number = str(next(self._numbers))
        await socket.send(json.dumps({**frame, "request_id": number}))
        while True:
            async with asyncio.timeout(15):  # not wait_for, which before Python 3.12 may lose a cancellation
                answer: dict[str, Any] = json.loads(await socket.recv())
            if answer.get("request_id") == number:
                return answer


class Fleet(threading.Thread):
    """All of them, in an event loop of their own. One after the other is killed and started again, at random."""

    def __init__(self, agents: list[Fleeted], ports: list[int], *, killed_every: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.effects: Counter[str] = Counter()
        self.kills = 0
        self._dice = random.Random(seed)
        self._agents = [
            Simulated(agent, ports, self.effects, random.Random(seed + n)) for n, agent in enumerate(agents)
        ]
        self._killed_every = killed_every
        self._over = threading.Event()

    def run(self) -> None:
        asyncio.run(self._live())

    def end(self) -> None:
        self._over.set()
        self.join(20)
        assert not self.is_alive()

    async def _live(self) -> None:
        tasks = {agent: asyncio.create_task(agent.live()) for agent in self._agents}
        while not self._over.is_set():
            await asyncio.sleep(self._dice.expovariate(1 / self._killed_every))
            agent = self._dice.choice(self._agents)
            await self._kill(tasks[agent])
            self.kills += 1
            tasks[agent] = asyncio.create_task(agent.live())
        for task in tasks.values():
            await self._kill(task)

    @staticmethod
    async def _kill(task: asyncio.Task[None]) -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
