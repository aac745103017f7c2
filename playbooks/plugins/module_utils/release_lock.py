"""The lock of a host: one run at a time changes it. A file, because a run is many connections one after the other."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils import atomic

LOCK = Path("/var/lib/moorage/lock.json")
BOOT = Path("/proc/sys/kernel/random/boot_id")
UPTIME = Path("/proc/uptime")
# A slot that never gets healthy is given up after two minutes, a stop after one and a half.
LEFTOVER_SECONDS = 180


class Held(Exception):
    """Another run has the lock; `lock` is what it wrote."""

    def __init__(self, lock: dict[str, Any]) -> None:
        super().__init__("the lock is held")
        self.lock = lock


class StillAtWork(Exception):
    """A dead run's last step goes on, on the host, for longer than any of them should take."""


def take(mine: dict[str, Any], broken: str = "", path: Path = LOCK) -> dict[str, Any] | None:
    """Take the lock, or raise.

    Args:
        mine: who takes it: token, what, by, from, controller, pid, began (see action/preflight.py).
        broken: token of a lock that may be taken over, because its run is known to be dead.

    Returns:
        the lock that was taken over: the one named, or one from before the host was booted; None where there was none.

    Raises:
        Held: by another run.
        StillAtWork: by a dead run, whose last step goes on.
    """
    entry = {**mine, "boot": BOOT.read_text().strip(), "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    with _alone(path):
        found = read(path) if path.exists() else None
        if found is not None and not _dead(path, found, broken):
            raise Held(found)
        if found is not None:
            _wait_for_leftovers(path)
        _write(path, entry)
    return found


def _dead(path: Path, lock: dict[str, Any], broken: str) -> bool:
    """Named as dead, or from before the host was booted; one that cannot be read is judged by its file's time."""
    if lock:
        return lock.get("token") == broken or lock.get("boot") != BOOT.read_text().strip()
    uptime = float(UPTIME.read_text().split()[0])
    return path.stat().st_mtime < time.time() - uptime


@contextmanager
def at_work(path: Path = LOCK) -> Iterator[None]:
    """What a module does on the host goes on when its controller dies; whoever takes over the lock waits for it."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with path.with_suffix(".work").open("w") as work:
        fcntl.flock(work, fcntl.LOCK_SH)
        yield


def _wait_for_leftovers(path: Path) -> None:
    end = time.monotonic() + LEFTOVER_SECONDS
    with path.with_suffix(".work").open("w") as work:
        while time.monotonic() < end:
            with suppress(BlockingIOError):
                return fcntl.flock(work, fcntl.LOCK_EX | fcntl.LOCK_NB)
            time.sleep(0.2)
    raise StillAtWork(f"What the dead run began on the host has not ended within {LEFTOVER_SECONDS} s")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Looking at the lock and changing it are one step: of two that break a dead run's lock, one gets it."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with path.with_suffix(".guard").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def _write(path: Path, content: dict[str, Any]) -> None:
    atomic.write(path, json.dumps(content), 0o644)


def read(path: Path = LOCK) -> dict[str, Any]:
    """What the lock says; empty where there is none, or one that was cut off while it was written."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def note(token: str, releasing: dict[str, Any] | None, path: Path = LOCK) -> None:
    """Write into this run's lock what release is under way, so that whoever finds it dead records that it was cut off.

    Args:
        releasing: None once its line is written.
    """
    with _alone(path):
        content = read(path)
        if content.get("token") == token:
            _write(path, {**content, "releasing": releasing})


def leave(token: str, path: Path = LOCK) -> bool:
    """Give the lock back; False where it is not (or no longer) this run's."""
    with _alone(path):
        if read(path).get("token") != token:
            return False
        path.unlink()
        return True


def age(at: str, now: datetime | None = None) -> str:
    """How long ago a time in RFC 3339 was, for a person. Pure."""
    try:
        seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(at.replace("Z", "+00:00"))).total_seconds()
    except ValueError:
        return "at an unknown time"
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    return f"{seconds / 60:.0f} minutes ago" if seconds < 7200 else f"{seconds / 3600:.0f} hours ago"


def refusal(lock: dict[str, Any]) -> str:
    """What a person is told who finds the lock held. Pure."""
    if not lock:
        return (
            f"{LOCK} on the host is locked but does not say by whom: its run was cut off as it began. If no other run "
            f"is at work, remove the file (`sudo rm {LOCK}`) and run again. Nothing was changed."
        )
    return (
        f"Another run is at work on this host: {lock.get('what')}, by {lock.get('by')} from {lock.get('from')} "
        f"(process {lock.get('pid')}), begun {lock.get('at')}, {age(str(lock.get('at')))}. Two runs would undo each "
        "other's work, so this one ends here. Wait for it; or, if you know that it is dead (its CI job was cancelled, "
        "there is no such process), break its lock: the same command again with "
        f"`-e break_lock={lock.get('token')}`. Nothing was changed."
    )
