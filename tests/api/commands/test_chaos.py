"""Server processes and agents killed at random, again and again: nothing happens twice, nothing is lost, all ends.

`make chaos` runs it in its full size: 200 agents and 10,000 commands.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text

from tests.api.commands.simulated import Fleet
from tests.api.fleet import Fleeted, enlist
from tests.api.people import Town, its
from tests.api.processes import await_ready, launch
from tests.api.serving.conftest import Served, kill
from webapp.commands import sweeps
from webapp.commands.states import ENDS
from webapp.db import Database

ACK_SECONDS = 2
PROCESSES = ("sockets-1", "sockets-2", "api")


class Size(NamedTuple):
    agents: int
    commands: int
    # Between two kills of a server process, and of an agent; seconds.
    server_killed_every: float
    agent_killed_every: float
    longest: float


SIZES = {"small": Size(40, 1000, 2.0, 0.15, 80), "full": Size(200, 10_000, 4.0, 0.1, 900)}


class Servers:
    """The processes, each on a port that stays its own when it is killed and started again."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment, self._folder = environment, folder
        self._served = {name: self._launch(name) for name in PROCESSES}
        for name, served in self._served.items():
            await_ready(served, name.split("-")[0])
        self.kills = 0

    def port(self, name: str) -> int:
        return self._served[name].port

    def kill_one(self, dice: random.Random) -> None:
        """As a container is killed, and started again."""
        name = dice.choice(PROCESSES)
        port = self._served[name].port
        kill(self._served[name].popen)
        self.kills += 1
        time.sleep(dice.uniform(0, 0.3))
        self._served[name] = await_ready(self._launch(name, port), name.split("-")[0], 60)

    def end(self) -> None:
        for served in self._served.values():
            kill(served.popen)

    def _launch(self, name: str, port: int = 0) -> Served:
        changes = {"COMMAND_ACK_SECONDS": str(ACK_SECONDS), "LOG_LEVEL": "WARNING", "DATABASE_POOL_SIZE": "6"}
        return launch(name.split("-", maxsplit=1)[0], self._environment, self._folder / name, port=port, **changes)


def post(port: int, headers: dict[str, str], body: dict[str, Any]) -> str:
    """The id of a command that is made, once, however often that has to be tried."""
    key = {"Idempotency-Key": str(uuid4()), "Content-Type": "application/json"}
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("POST", "/api/v1/vm-ops/commands", json.dumps(body), {**headers, **key})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status == 202:
                return str(json.loads(said)["data"]["id"])
            assert answer.status == 503, said
        time.sleep(0.1)


@contextlib.contextmanager
def every(seconds: float, work: Any) -> Iterator[None]:
    """`work` again and again, in a thread, with that much in between."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def left(database: Database, town: Town) -> int:
    with database.transaction(town.tenant) as session:
        count = text("SELECT count(*) FROM commands WHERE status <> ALL(:ends)")
        return int(session.execute(count, {"ends": list(ENDS)}).scalar_one())


def test_nothing_twice_nothing_lost_all_ends(
    town: Town, app: Flask, environment: dict[str, str], tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    size = SIZES[pytestconfig.getoption("--chaos")]
    seed = random.randrange(10**6)
    print(f"seed {seed}, {size}")
    dice, database = random.Random(seed), its(app).database
    agents = [enlist(town) for _ in range(size.agents)]
    servers = Servers(environment, tmp_path)
    fleet = Fleet(
        agents, [servers.port("sockets-1"), servers.port("sockets-2")],
        killed_every=size.agent_killed_every, seed=seed,
    )  # fmt: skip

    def make(agent: Fleeted) -> str:
        body = {"agent_id": agent.id, "command_type": "proxmox.start", "offline": "queue_until_expiry"}
        body |= {"expires_in_seconds": 900}
        return post(servers.port("api"), town.admin.headers, body)

    began = time.monotonic()
    assert town.admin.token
    try:
        fleet.start()
        with (
            every(size.server_killed_every, lambda: servers.kill_one(dice)),
            every(0.5, lambda: sweeps.sweep(database, town.tenant, ack_seconds=ACK_SECONDS)),
            ThreadPoolExecutor(8) as pool,
        ):
            made = list(pool.map(make, dice.choices(agents, k=size.commands)))
            # A quick machine is through before enough were killed to prove anything.
            while servers.kills < 3 or fleet.kills < size.agents / 4:
                assert time.monotonic() - began < size.longest, "nobody kills"
                made.append(make(dice.choice(agents)))
            print(f"{time.monotonic() - began:.1f} s until all were made, {left(database, town)} have not ended")
            while left(database, town):
                assert time.monotonic() - began < size.longest, f"{left(database, town)} commands came to no end"
                time.sleep(0.2)
    finally:
        fleet.end()
        servers.end()
    print(f"{time.monotonic() - began:.1f} s, {servers.kills} server and {fleet.kills} agent kills")

    assert len(set(made)) == len(made) >= size.commands
    with database.transaction(town.tenant) as session:
        rows = session.execute(text("SELECT id::text, status, result, error_message FROM commands")).all()
    assert {row.id for row in rows} == set(made), "none is lost, none was made twice"
    assert max(fleet.effects.values()) == 1, "no effect twice"
    for row in rows:
        assert row.status in ENDS
        if row.status == "succeeded":
            assert fleet.effects[row.id] == 1 and row.result == {"effect": row.id}
        else:
            assert row.status == "failed", row
            assert "never acknowledged" not in row.error_message or not fleet.effects[row.id]
    ends = {status: sum(row.status == status for row in rows) for status in ENDS}
    print(ends)
    assert ends["succeeded"] > 0.9 * len(made)
