"""Files that must be whole or not there at all, and private ones."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import IO

from agent.failures import Failure

WINDOWS = sys.platform == "win32"


def private_folder(path: Path) -> Path:
    """The folder, made with 0700 where it was missing. Failure STATE_DIR where it cannot be or is not only ours."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        mode = path.stat().st_mode
        if not WINDOWS and stat.S_IMODE(mode) & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise Failure("STATE_DIR", f"{path} cannot be used as the agent's folder ({error.strerror})."
                      " Run this as the agent's own user, or name another folder with --state-dir.") from error
    return path


def sync_folder(path: Path) -> None:
    """Makes a rename in that folder survive a loss of power. Windows has no such call."""
    if WINDOWS:
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_private(path: Path, content: bytes) -> None:
    """Replaces the file in one step, readable by its owner only, on disk when this returns."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600 from its first moment
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    sync_folder(path.parent)


def refuse_if_others_read(path: Path) -> None:
    """Failure NOT_PRIVATE where the group or others may read the file, which holds secrets."""
    if not WINDOWS and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Failure("NOT_PRIVATE", f"{path} can be read by others, and it may hold secrets. chmod 600 {path}")


def lock(path: Path) -> IO[bytes] | None:
    """Holds the file's lock until it is closed or the process ends, however it ends; None where another holds it."""
    file = path.open("ab")
    try:
        if WINDOWS:
            import msvcrt  # noqa: PLC0415 - exists on Windows only

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]  # as above
        else:
            import fcntl  # noqa: PLC0415 - does not exist on Windows

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
