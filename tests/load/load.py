"""Runs the generator beside a test."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.lab.lab import MAIN_HOST, Lab
from tests.load.plan import Plan
from tests.load.report import Report

ROOT = Path(__file__).parents[2]
# The answers that are still out when it stops may take their whole time-out.
END_SECONDS = 30.0


class Load:
    """Load on a lab's product while the block runs.

    Use:
        with Load(lab) as load:
            load.mark("switch 1")
            ...
            report = load.report()

    Args:
        lab: its `vps` gets the load, unless the plan has another `address`.
        plan: what of `plan.Plan` shall be other than by default (`rate`, `sockets`, …).
    """

    def __init__(self, lab: Lab, **plan: Any) -> None:
        root = lab.folder / "ca.pem"
        run = f"load-{uuid.uuid4().hex[:8]}"
        self.plan = Plan(**{"address": lab.hosts[MAIN_HOST].address, "root": str(root), "run": run, **plan})
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Load:
        """Begin; every socket is open when this returns. Raises RuntimeError where that cannot be."""
        # A process of its own: what the test does must not delay a request.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.load.generator"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say(self.plan.to_json())
        try:
            self._heard("ready")
        except BaseException:
            self._kill()
            raise
        return self

    def mark(self, name: str) -> None:
        """Begin a window: what is due from now on is counted under `name`."""
        self._say(f"mark {name}")
        self._heard("marked")

    def report(self) -> Report:
        """Stop, and tell what became of it. Raises RuntimeError where the generator ended early."""
        assert self._process is not None
        out, _ = self._process.communicate("stop\n", timeout=self.plan.timeout + END_SECONDS)
        if self._process.returncode or not out:
            raise RuntimeError(f"The load generator ended with {self._process.returncode}; its words are above.")
        return Report.from_json(out.splitlines()[-1])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()

    def _say(self, line: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _heard(self, word: str) -> None:
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if line != word:
            raise RuntimeError(f"The load generator said {line!r} and not {word!r}; its words are above.")

    def _kill(self) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
