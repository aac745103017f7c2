"""PostgreSQL is stopped while an agent has a result to tell: it is told when PostgreSQL is back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.machines import Caller, on_line, paired, until
from tests.bench.installation import Installation, installation
from tests.unit.agent.proxmox import TOKEN, Pve
from tests.unit.agent.serving import Asked, Reply

CONFIG = '[proxmox]\nurl = "{}"\ntoken_id = "{}"\ntoken_secret = "{}"\n'
STARTED = ("POST", "/nodes/pve1/qemu/100/status/start")
# The agent's longest rest between two tries is 10 s; the rest is for a machine that is busy.
TOLD_WITHIN_SECONDS = 25


class Slow(Pve):
    """Answers a start only once it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        super().__init__()

    def _answer(self, asked: Asked) -> Reply:
        reply = super()._answer(asked)
        if asked.path.endswith("/status/start"):
            self.go.wait(60)
        return reply

    @property
    def starts(self) -> int:
        return [call[:2] for call in self.calls].count(STARTED)


@pytest.fixture
def own() -> Iterator[Installation]:
    """An installation of this test's own: its database goes away."""
    with installation() as made:
        yield made


@pytest.fixture
def pve() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.go.set()
    made.server.close()


def test_a_result_that_came_while_the_database_was_away_is_kept_when_it_is_back(
    own: Installation, pve: Slow, tmp_path: Path
) -> None:
    token, (name, _, secret) = own.token(own.tenant()), TOKEN.partition("=")
    with own.running("sockets", "webapp", "serve", "sockets") as ran:
        caller = Caller(ran.port, token)
        machine, agent_id = paired(caller, tmp_path / "machine")
        with machine.at_work(CONFIG.format(pve.server.url, name, secret)):
            on_line(caller, agent_id)
            order = {"agent_id": agent_id, "params": {"vmid": 100, "node": "pve1", "kind": "qemu"}}
            made = caller.made("POST /api/v1/vm-ops/proxmox/start", order, 202)
            until(lambda: pve.starts)

            own.servers.postgres.stop(20)
            pve.go.set()
            until(lambda: machine.said().count("it is sent again") >= 2)
            assert caller.call("GET /api/v1/vm-ops/commands")[0] == 503
            own.servers.start_postgres()

            path = f"GET /api/v1/vm-ops/commands/{made['id']}"
            until(lambda: caller.call(path)[0] == 200)
            ended = until(
                lambda: (one := caller.made(path))["status"] not in ("dispatched", "running") and one,
                TOLD_WITHIN_SECONDS,
            )
    assert ended["status"] == "succeeded" and ended["result"]["upid"].startswith("UPID:pve1:")
    assert pve.starts == 1
