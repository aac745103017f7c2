"""A command in a process of its own, forked of one that has loaded everything: it can be killed, and begins at once."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from webapp.settings import CHECKOUT, inherited

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["webapp.cutover.commands", "webapp.cutover.moving", __name__])


class Command:
    """Runs from now on."""

    def __init__(self, variables: Mapping[str, str], words: tuple[str, ...], folder: Path) -> None:
        self._out, self._err = folder / "out", folder / "err"
        self.process = _context.Process(target=_run, args=(dict(variables), words, str(self._out), str(self._err)))
        self.process.start()

    def wait(self, seconds: float = 120) -> int:
        """Its exit code."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"it runs still, and said: {self.said}"
        return self.process.exitcode

    def kill(self) -> None:
        """As the kernel does it."""
        self.process.kill()
        self.process.join(10)

    @property
    def printed(self) -> str:
        return self._out.read_text()

    @property
    def said(self) -> str:
        return self._err.read_text() if self._err.exists() else ""


def _run(variables: dict[str, str], words: tuple[str, ...], out: str, err: str) -> None:
    os.chdir(CHECKOUT)
    os.environ.clear()
    os.environ.update(inherited(**variables))
    for stream, path in ((sys.stdout, out), (sys.stderr, err)):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), stream.fileno())
    from webapp.cli import moorage

    moorage(["cutover", *words])
