"""One `make up` in a checkout."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from webapp.local.failures import AlreadyRunning


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Held until the block ends or this process dies, however it dies. Raises AlreadyRunning."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AlreadyRunning(
                f"This checkout's servers already run (process {file.read().strip() or 'unknown'}). "
                "Use them, or stop them with Ctrl-C where they were started."
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
