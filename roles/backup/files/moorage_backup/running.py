"""Runs programs: their output is returned or streamed, a failure is raised with the program's own last words."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from moorage_backup.failures import CommandFailed

# How long a program that is asked to end may take to clear up (restic removes its lock).
GRACE = 20


def run(
    words: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    given: str | None = None,
    cwd: Path | None = None,
    seconds: float | None = None,
) -> str:
    """Run a program to its end; its standard output.

    Args:
        env: added to this process' environment. Secrets go here and never into `words`, which `ps` shows.
        given: its standard input.
        seconds: asked to end after these, and killed `GRACE` seconds later.

    Raises:
        CommandFailed: it ended with another code than 0, or did not end in time.
    """
    process = subprocess.Popen(
        words,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        out, err = process.communicate(given, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise CommandFailed(Path(words[0]).name, None, _end(process)) from None
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        raise CommandFailed(Path(words[0]).name, process.returncode, err or out)
    return out


def _end(process: subprocess.Popen[str]) -> str:
    """Ask a program to end, then make it; what it had written to standard error."""
    process.send_signal(signal.SIGINT)
    try:
        return process.communicate(timeout=GRACE)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[1]


@contextmanager
def stream(words: Sequence[str], *, env: Mapping[str, str] | None = None) -> Iterator[IO[bytes]]:
    """A program's standard output as it comes. Not reading it to the end ends the program.

    Raises:
        CommandFailed: after the block, where it ended badly.
    """
    process = subprocess.Popen(
        words,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout and process.stderr  # noqa: S101 - both are pipes, which the type does not know
    try:
        yield process.stdout
        process.stdout.close()
        said = process.stderr.read().decode(errors="replace")
        if code := process.wait():
            raise CommandFailed(Path(words[0]).name, code, said)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()
