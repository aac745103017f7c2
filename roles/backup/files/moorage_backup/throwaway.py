"""Servers to throw away: on a data folder of their own, reached by a socket in it, gone with the block."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from moorage_backup import databases
from moorage_backup.failures import CommandFailed, Failure
from moorage_backup.running import run

_ACCESS = "local all all trust\nhost all all 127.0.0.1/32 trust\n"
# PostgreSQL's words where the log ends before a commit that is later than the moment asked for.
UNREACHED = "recovery ended before configured recovery target was reached"
# Durability is for data that stays.
_QUICK = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_wal_size=4GB",
    "maintenance_work_mem=128MB",
)
_DONE = "SELECT to_json(NOT pg_is_in_recovery())"


class Unreached(Failure):
    """The log says nothing later than the moment asked for: its end is the state at that moment."""


@contextmanager
def empty(folder: Path, port: int = 0) -> Iterator[dict[str, str]]:
    """A new server without anything in it; what libpq's programs need to reach it as its superuser."""
    folder.mkdir(mode=0o700, parents=True)
    run(
        [
            "initdb",
            "--no-sync",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            str(folder / "data"),
        ]
    )
    with running(folder / "data", options=_QUICK, port=port) as environment:
        yield environment


@contextmanager
def running(
    data: Path,
    *,
    limits: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    port: int = 0,
    seconds: float = 3600,
) -> Iterator[dict[str, str]]:
    """A server on a data folder, once it has recovered and takes writes; ended cleanly after the block.

    Args:
        limits: at least those of the server that the folder is a copy of, or it does not start.
        options: further settings, `name=value`.
        port: also listen on 127.0.0.1 there; 0 for the socket alone.
        seconds: how long recovery may take.

    Raises:
        Unreached: see there.
        Failure: it does not start; with the end of its log.
    """
    place = data.parent / f"{data.name}.running"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)
    (place / "pg_hba.conf").write_text(_ACCESS)
    settings = [f"{name}={value}" for name, value in (limits or {}).items()]
    settings += [f"unix_socket_directories={place}", f"hba_file={place}/pg_hba.conf", "ssl=off", "archive_mode=off"]
    settings += [f"listen_addresses={'127.0.0.1' if port else ''}", "shared_buffers=64MB", "timezone=UTC", *options]
    words = ["postgres", "-D", str(data), *(word for setting in settings for word in ("-c", setting))]
    if port:
        words += ["-c", f"port={port}"]
    log = place / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(words, stdout=file, stderr=file)
    environment = {"PGHOST": str(place), "PGUSER": "postgres", "PGTZ": "UTC", "PGPORT": str(port or 5432)}
    try:
        _wait(process, environment, log, seconds)
        yield environment
    finally:
        _stop(process)
        shutil.rmtree(place, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], environment: Mapping[str, str], log: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = log.read_text(errors="replace")
            if UNREACHED in said:
                raise Unreached(UNREACHED)
            raise Failure(f"The throw-away server did not start: {said[-1500:]}")
        try:
            if databases.ask(_DONE, environment):
                return
        except CommandFailed:
            pass  # it is still starting; why it does not is in its log
        time.sleep(0.2)
    raise Failure(
        f"The throw-away server had not recovered within {seconds:.0f} s: {log.read_text(errors='replace')[-1500:]}"
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(2)  # SIGINT: fast shutdown, with a checkpoint
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
