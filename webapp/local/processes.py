"""Processes that are started here: kept on record, so that those that a `kill -9` left behind are found again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from webapp.local.failures import LocalFailure
from webapp.settings import CHECKOUT, inherited

POLL_SECONDS = 0.05


@dataclass
class Child:
    """A running process with a name, a log, and the signal that it takes for a clean end."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path | None
    stop_signal: signal.Signals = signal.SIGTERM

    def alive(self) -> bool:
        return self.popen.poll() is None

    def stop(self, seconds: float) -> None:
        """Asks it to end, and after that many seconds makes it."""
        if self.alive():
            self.popen.send_signal(self.stop_signal)
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            _signal_group(self.popen.pid, signal.SIGKILL)
            self.popen.wait()
        # What it had started itself and not taken along (npm leaves its servers behind).
        _signal_group(self.popen.pid, signal.SIGTERM)

    def last_words(self, lines: int = 15) -> str:
        if self.log is None or not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def start(
    name: str,
    command: list[str],
    *,
    record: Path,
    log: Path | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    cwd: Path = CHECKOUT,
    environment: Mapping[str, str] | None = None,
) -> Child:
    """Start a process in a session of its own (Ctrl-C reaches only us, and we stop the others in order).

    Its output goes to `log`, or where ours goes. It is written down in the folder `record`.
    """
    output = log.open("ab") if log else None
    try:
        popen = subprocess.Popen(
            command,
            cwd=cwd,
            env=inherited(**environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            start_new_session=True,
        )
    finally:
        if output:
            output.close()
    record.mkdir(parents=True, exist_ok=True)
    facts = {"pid": popen.pid, "began": _began(popen.pid), "stop": int(stop_signal)}
    (record / f"{name}.child").write_text(json.dumps(facts))
    return Child(name, popen, log, stop_signal)


def stop_orphans(record: Path, *, seconds: float = 15) -> list[str]:
    """Stop what a run before left behind; the names of what was found. Raises LocalFailure where one will not go."""
    found = []
    # The servers are started first and stopped last: who uses them must not see them go.
    for path in sorted(record.glob("*.child"), key=lambda one: one.stat().st_mtime, reverse=True):
        facts = json.loads(path.read_text())
        if _is(facts):
            found.append(path.stem)
            _end(path.stem, facts, seconds)
        path.unlink()
    return found


def _end(name: str, facts: dict[str, int], seconds: float) -> None:
    os.kill(facts["pid"], facts["stop"])
    end = time.monotonic() + seconds
    while _is(facts):
        if time.monotonic() > end:
            _signal_group(facts["pid"], signal.SIGKILL)
        if time.monotonic() > end + 5:
            raise LocalFailure(f"{name} of a run before (process {facts['pid']}) does not end. Stop it by hand.")
        time.sleep(POLL_SECONDS)


def _is(facts: dict[str, int]) -> bool:
    # The number alone may belong to another process by now.
    return facts["began"] != 0 and _began(facts["pid"]) == facts["began"]


def _began(pid: int) -> int:
    """When a process began, in a form that only serves to compare; 0 where there is none (a zombie is none)."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        if stat.parent.parent.joinpath("self").exists():
            fields = stat.read_text().rpartition(")")[2].split()
            return 0 if fields[0] == "Z" else int(fields[19])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    seen = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return hash_of(seen.stdout.strip()) if seen.stdout.strip() else 0


def hash_of(text: str) -> int:
    """The same number for the same text in every process (Python's own hash is salted)."""
    return int.from_bytes(text.encode()[-8:], "big")


def _signal_group(pid: int, what: signal.Signals) -> None:
    try:
        os.killpg(pid, what)
    except ProcessLookupError:
        return
