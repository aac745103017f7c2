"""A paired agent beside a small control plane, both for real."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.commands import Command, Outcome, succeeded
from agent.control_plane import ControlPlane
from agent.desk import Desk, Progress
from agent.identity import Credentials, load
from agent.journal import Journal
from agent.pace import Backoff, Pace, ServerClock
from agent.pairing import pair
from agent.runtime import Agent
from agent.wire import Tls
from tests.unit.agent.plane import CODE, Plane


class Quick(Backoff):
    """Same rules, a hundredth of the time."""

    def next(self) -> float:
        return super().next() / 100

    def at_once(self) -> float:
        return super().at_once() / 100


@pytest.fixture
def plane() -> Iterator[Plane]:
    made = Plane()
    yield made
    made.close()


@pytest.fixture
def paired(plane: Plane, tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    pair(folder, plane.url, CODE, key_store="file", tls=Tls(), capabilities=[], replace=False, pace=Pace())
    return folder


@dataclass
class Running:
    agent: Agent
    journal: Journal
    credentials: Credentials
    ended: list[BaseException]
    thread: threading.Thread
    ran: list[str]

    def stop(self) -> None:
        self.agent.stop(1.0)
        self.thread.join(1)  # one that is in a long poll is left to it, as at the end of the process


@pytest.fixture
def run(paired: Path) -> Iterator[Callable[..., Running]]:
    """Starts an agent on the paired folder; `execute(command, progress)` is what its commands do."""
    made: list[Running] = []

    def start(execute: Callable[[Command, Progress], Outcome] | None = None, *, transport: str = "auto") -> Running:
        pace, ran = Pace(), []
        found = load(paired).ca_file
        tls = Tls(Path(found) if found else None)
        credentials, clock = Credentials(paired, load(paired)), ServerClock(pace)
        control = ControlPlane(credentials.identity.server, token=credentials.token, clock=clock, tls=tls)
        journal = Journal(paired / "journal.sqlite3")
        journal.recover(lambda kind: kind.startswith("again."))

        def effect(command: Command, progress: Progress) -> Outcome:
            ran.append(command.id)
            return execute(command, progress) if execute else succeeded({"echo": command.payload}, reads_only=False)

        desk = Desk(journal, effect, clock, pace)
        agent = Agent(credentials, control, desk, journal=journal, clock=clock, pace=pace, transport=transport,
                      backoff=Quick())  # fmt: skip
        ended: list[BaseException] = []

        def work() -> None:
            try:
                agent.run()
            except BaseException as error:
                ended.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        made.append(Running(agent, journal, credentials, ended, thread, ran))
        return made[-1]

    yield start
    for one in made:
        one.stop()


def command(number: int | str, kind: str = "proxmox.start", **more: Any) -> Command:
    return Command(f"c{number}", kind, {}, **more)
