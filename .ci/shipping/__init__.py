"""From a commit to images that may be deployed: built, looked into, pushed, attested, signed, verified."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Refused(Exception):
    """A step cannot or must not be done; the text says what, why, and what to do."""


def run(command: Sequence[str | Path], what: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a command in the repository and return what it printed.

    Args:
        what: the step, for the error.
        environment: the whole environment, if not this process's own.
    Raises: Refused, with the end of what it said.
    """
    try:
        done = subprocess.run(
            list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise Refused(f"{what} failed: {error.filename} is not installed.") from error
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-25:])
        raise Refused(f"{what} failed: `{' '.join(map(str, command[:3]))} …` ended with {done.returncode}.\n{said}")
    return done.stdout
