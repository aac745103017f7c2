"""The processes as they run in a container: `moorage serve …` in a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from webapp.local.ports import free_port
from webapp.settings import CHECKOUT, inherited

READY = "/api/v1/health/ready"
LIVE = "/api/v1/health/live"


@dataclass
class Served:
    """A running process, its port, and what it has said so far."""

    popen: subprocess.Popen[bytes]
    port: int
    output: Path

    def get(self, path: str, timeout: float = 20) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(body) if answer.headers["Content-Type"].endswith("json") else body.decode()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.read_text().splitlines()]


def kill(popen: subprocess.Popen[bytes]) -> None:
    """The process and its workers, as when a container is killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(popen.pid, signal.SIGKILL)
    popen.wait(10)


Serve = Callable[..., Served]


@pytest.fixture
def serve(relayed: dict[str, str], run_dir: Path, tmp_path: Path) -> Iterator[Serve]:
    """Start one of the processes behind the relays, and wait until it is there."""
    started: list[subprocess.Popen[bytes]] = []

    def start(process: str, *, practice: bool = False, **changes: str) -> Served:
        port, output = free_port(), tmp_path / f"{process}.log"
        variables = inherited(**relayed) | {"PORT": str(port), "RUN_DIR": str(run_dir)} | changes
        with output.open("wb") as file:
            module = ["tests.api.serving.practice"] if practice else ["webapp", "serve"]
            command = [sys.executable, "-m", *module, process]
            popen = subprocess.Popen(
                command, cwd=CHECKOUT, env=variables, stdout=file, stderr=file, start_new_session=True
            )
        started.append(popen)
        served = Served(popen, port, output)
        end = time.monotonic() + 15
        while not (run_dir / f"{process}.json").exists():
            assert popen.poll() is None and time.monotonic() < end, output.read_text()
            time.sleep(0.05)
        return served

    yield start
    for popen in started:
        kill(popen)
