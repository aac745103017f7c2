"""Processes that several tests share: `moorage serve …`, started once a module, without relays in between."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.api.serving.conftest import Served
from webapp.local.ports import free_port
from webapp.settings import CHECKOUT, inherited


def launch(process: str, environment: Mapping[str, str], folder: Path, *, port: int = 0, **changes: str) -> Served:
    """A running process. `kill(served.popen)` ends it."""
    folder.mkdir(parents=True, exist_ok=True)
    port, output, run_dir = port or free_port(), folder / "log", folder / "run"
    (run_dir / f"{process}.json").unlink(missing_ok=True)
    variables = inherited(**environment) | {"PORT": str(port), "RUN_DIR": str(run_dir)} | changes
    command = [sys.executable, "-m", "webapp", "serve", process]
    with output.open("ab") as file:
        popen = subprocess.Popen(command, cwd=CHECKOUT, env=variables, stdout=file, stderr=file, start_new_session=True)
    return Served(popen, port, output)


def await_ready(served: Served, process: str, seconds: float = 20) -> Served:
    """Returns when the process has announced itself."""
    announced, end = served.output.parent / "run" / f"{process}.json", time.monotonic() + seconds
    while not announced.exists():
        assert served.popen.poll() is None and time.monotonic() < end, served.output.read_text()
        time.sleep(0.05)
    return served
