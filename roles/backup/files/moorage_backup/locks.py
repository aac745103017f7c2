"""One of a kind at a time: whoever comes second waits, and is told for whom."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moorage_backup.failures import Refused

# A whole run (dumps, copies, restores) and, within it and between, whoever moves or reads the log's files.
RUN, LOG = "run", "log"


@contextmanager
def alone(state: Path, name: str, what: str, *, wait: float) -> Iterator[None]:
    """Hold a lock for the block. It ends with its process, however that ends.

    Args:
        what: told to whoever waits for it.
        wait: seconds to wait for whoever holds it.

    Raises:
        Refused: it was held for longer than that.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = state / f"{name}.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(handle, path, wait)
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"what": what, "since": f"{time.time():.0f}"}).encode(), 0)
        yield
    finally:
        os.close(handle)


def _take(handle: int, path: Path, wait: float) -> None:
    deadline, told = time.monotonic() + wait, False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = _holder(path)
            if time.monotonic() >= deadline:
                raise Refused(f"{holder} is at work, and still was after {wait:.0f} s. Nothing was begun.") from None
            if not told:
                print(f"waiting for {holder}", file=sys.stderr, flush=True)  # noqa: T201 - told to the journal
                told = True
            time.sleep(0.2)


def _holder(path: Path) -> str:
    try:
        held = json.loads(path.read_text())
        return f"{held['what']}, begun {time.time() - float(held['since']):.0f} s ago,"
    except (OSError, ValueError, KeyError):
        return "Another run"
