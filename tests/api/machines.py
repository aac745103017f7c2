"""Agents and runners as customers have them: processes of their own that know a server's address and nothing else."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webapp.settings import CHECKOUT


@dataclass(frozen=True)
class Caller:
    """Somebody with a bearer token, and a server that listens on this port."""

    port: int
    token: str

    def call(self, line: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """`call("POST /api/v1/…", {…})`: the status, and the data or the error's code."""
        method, path = line.split()
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            said = json.loads(answer.read())
        return answer.status, said["data"] if said["success"] else said["error"]["code"]

    def made(self, line: str, body: Any = None, status: int = 200) -> Any:
        """What a success says."""
        got = self.call(line, body)
        assert got[0] == status, got
        return got[1]


@dataclass
class Machine:
    """One machine: its state folder, and variables that only its processes have."""

    folder: Path
    server: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def start(self, program: str, *arguments: str, log: str = "log") -> subprocess.Popen[bytes]:
        """`program` is `agent` or `runner`. Says what it says into a file of the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", f"from agent.cli import {program}; {program}()", *arguments]
        paths = os.pathsep.join(filter(None, [self.variables.get("PYTHONPATH"), str(CHECKOUT)]))
        variables = {**os.environ, **self.variables, "PYTHONPATH": paths}
        with (self.folder / log).open("ab") as file:
            return subprocess.Popen(command, cwd=self.folder, env=variables, stdout=file, stderr=file)

    def said(self, log: str = "log") -> str:
        return (self.folder / log).read_text()

    def pair(self, code: str) -> str:
        """The agent's id."""
        state = ("--state-dir", str(self.folder / "state"), "--key-store", "file", "--json")
        assert self.start("agent", "pair", "--server", self.server, "--code", code, *state, log="pair").wait(30) == 0, (
            self.said("pair")
        )
        return str(json.loads(self.said("pair").splitlines()[-1])["agent_id"])

    @contextmanager
    def at_work(self, config: str = "") -> Iterator[subprocess.Popen[bytes]]:
        """`moorage-agent run`; `config` is what stands in its configuration file."""
        file = self.folder / "agent.toml"
        file.touch(mode=0o600)
        file.write_text(config)
        process = self.start("agent", "run", "--state-dir", str(self.folder / "state"), "--config", str(file))
        try:
            yield process
        finally:
            process.terminate()
            assert process.wait(10) == 0, self.said()


def paired(caller: Caller, folder: Path, **variables: str) -> tuple[Machine, str]:
    """A machine whose agent is paired with the caller's server, and the agent's id."""
    machine = Machine(folder, f"http://127.0.0.1:{caller.port}", variables)
    return machine, machine.pair(caller.made("POST /api/v1/agents/pairings", {}, 201)["pairing_code"])


def until(condition: Callable[[], Any], seconds: float = 15) -> Any:
    """What the condition gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"never came true within {seconds} s"
        time.sleep(0.05)
    return found


def on_line(caller: Caller, agent_id: str) -> Any:
    """Waits until the server has the agent's socket."""
    return until(lambda: caller.made(f"GET /api/v1/agents/{agent_id}")["status"] == "active")
