"""The whole server: base backups and the write-ahead log in Barman's catalogue."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from moorage_backup import databases, locks, sealing
from moorage_backup.failures import Failure
from moorage_backup.running import run
from moorage_backup.settings import Settings

NAME = "main"
SLOT = "moorage_backup"
# What streams the log is called so in pg_stat_replication.
STREAM = "barman_receive_wal"
# Base backups that Barman keeps on the host; older ones are in the targets.
KEPT = 2
_INFO = "-backup.info"
# A copy starts only with at least what its server had.
_LIMITS = """
SELECT json_object_agg(name, setting) FROM pg_settings WHERE name IN ('max_connections', 'max_worker_processes',
  'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction')
"""
_CONFIGURATION = """\
[barman]
barman_user = postgres
barman_home = {home}
log_level = WARNING

[{name}]
description = Written by moorage-backup
conninfo = host={host} port={port} user={user} dbname=postgres sslmode={sslmode}
streaming_conninfo = host={host} port={port} user={user} sslmode={sslmode}
backup_method = postgres
streaming_archiver = on
slot_name = {slot}
create_slot = auto
path_prefix = {binaries}
retention_policy = REDUNDANCY {kept}
{limit}
"""
_POSITIONS = """
SELECT json_build_object('written', pg_current_wal_flush_lsn() - '0/0',
  'received', (SELECT max(write_lsn - '0/0') FROM pg_stat_replication WHERE application_name = 'barman_receive_wal'))
"""


def configure(settings: Settings, home: Path | None = None) -> Path:
    """Write Barman's configuration for a catalogue at `home`; where it lies."""
    home = home or settings.barman_home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    server = settings.server
    path = home.with_name(f"{home.name}.conf")
    limit = f"bandwidth_limit = {settings.rate_mib * 1024}" if settings.rate_mib else ""
    where = {"host": server.host, "port": server.port, "user": server.user, "sslmode": server.sslmode}
    binaries = run(["pg_config", "--bindir"]).strip()
    sealing.write(
        path, _CONFIGURATION.format(home=home, name=NAME, slot=SLOT, kept=KEPT, binaries=binaries, limit=limit, **where)
    )
    return path


def barman(settings: Settings, *words: str, home: Path | None = None, seconds: float | None = None) -> str:
    """One run of Barman; what it printed.

    Raises:
        CommandFailed: with its words.
    """
    configuration = (home or settings.barman_home).with_name(f"{(home or settings.barman_home).name}.conf")
    return run(["barman", "-c", str(configuration), *words], env=settings.server.environment, seconds=seconds)


def base_backup(settings: Settings) -> dict[str, Any]:
    """Copy the whole server, with the log that makes the copy consistent; what the catalogue says of it.

    Raises:
        CommandFailed, Failure: the copies before stay.
    """
    begun = time.monotonic()
    with moving(settings, "a look at the copies"):
        # Takes over finished segments, and drops copies beyond those kept.
        barman(settings, "cron")
        if not any((settings.barman_home / NAME / "wals").glob("0*/0*")):
            # Barman makes no copy before it has seen a segment arrive.
            barman(settings, "switch-wal", "--force", "--archive", "--archive-timeout", "60", NAME)
    before = _begun(settings.barman_home)
    pace = "--immediate-checkpoint" if settings.fast_checkpoint else "--no-immediate-checkpoint"
    barman(settings, "backup", pace, NAME)
    (made,) = _begun(settings.barman_home) - before
    # The copy may end where a segment does, and Barman then wants the next one too, which an idle server never fills.
    barman(settings, "switch-wal", "--force", NAME)
    latest = _complete(settings, made)
    seconds = round(time.monotonic() - begun, 3)
    return {**latest, "seconds": seconds, "settings": databases.ask(_LIMITS, settings.server.environment)}


@contextmanager
def moving(settings: Settings, what: str) -> Iterator[None]:
    """While segments move from the stream into the archive nobody stores them: one could be missed."""
    with locks.alone(settings.state, locks.LOG, what, wait=600):
        yield


def _begun(home: Path) -> set[str]:
    """The copies in a catalogue, whatever became of them."""
    return {path.name.removesuffix(_INFO) for path in (home / NAME / "meta").glob(f"*{_INFO}")}


def _complete(settings: Settings, made: str, seconds: float = 300) -> dict[str, Any]:
    """A copy, once the log up to its end has arrived: only then could it be restored.

    Raises:
        Failure: the log does not arrive.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with moving(settings, "a look at the log"):
            take_over(settings)
        barman(settings, "check-backup", NAME, made)
        if done := [copy for copy in catalogue(settings.barman_home) if copy["id"] == made]:
            return done[0]
        time.sleep(1)
    raise Failure(f"The log that makes the copy consistent did not arrive within {seconds:.0f} s.")


def catalogue(home: Path) -> list[dict[str, Any]]:
    """The finished copies in a catalogue, oldest first: id, begin and end (RFC 3339), bytes, log segments, system.

    Read from Barman's own files: a catalogue that was brought back has no server to ask.
    """
    found = []
    for path in sorted((home / NAME / "meta").glob(f"*{_INFO}")):
        facts = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
        if facts.get("status") == "DONE":
            found.append(
                {
                    "id": path.name.removesuffix(_INFO),
                    "begin": facts["begin_time"],
                    "end": facts["end_time"],
                    "bytes": int(facts["size"]),
                    "begin_wal": facts["begin_wal"],
                    "end_wal": facts["end_wal"],
                    "timeline": int(facts["timeline"]),
                    "system": facts.get("systemid", ""),
                }
            )
    return found


def positions(settings: Settings) -> dict[str, Any]:
    """How far the server has written its log, and how far that has been received here, in bytes."""
    found: dict[str, Any] = databases.ask(_POSITIONS, settings.server.environment, seconds=15)
    return found


def received(settings: Settings, position: int, seconds: float = 20) -> bool:
    """Whether the log up to a position arrives here within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (positions(settings)["received"] or 0) >= position:
            return True
        time.sleep(0.5)
    return False


def take_over(settings: Settings) -> None:
    """Move finished log segments from the stream into the archive."""
    streaming = settings.barman_home / NAME / "streaming"
    if any(not path.name.endswith((".partial", ".tmp")) for path in streaming.glob("0*")):
        barman(settings, "archive-wal", NAME, seconds=300)


def recover(settings: Settings, home: Path, copy: str, into: Path, moment: str = "") -> None:
    """Make a data folder of a copy in a catalogue, and of the log since.

    Args:
        moment: RFC 3339; without one, to the end of the log, the unfinished segment included.

    Raises:
        CommandFailed: with Barman's words.
    """
    words = ["--target-time", moment, "--target-action", "promote"] if moment else []
    configure(settings, home)
    barman(settings, "restore", *words, NAME, copy, str(into), home=home)
    # Barman puts the log beside the data where it is to end somewhere, and among it where it is not.
    log = into / "barman_wal"
    if not log.is_dir():
        log = into / "pg_wal"
    for segment in (home / NAME / "streaming").glob("0*"):
        # Also the unfinished one: the last minutes are in it.
        there = log / segment.name.removesuffix(".partial")
        if not there.exists():
            shutil.copyfile(segment, there)
    if not moment:
        # Or it would go on along the old line, and write other segments under names that the targets have already.
        (into / "recovery.signal").touch()
        with (into / "postgresql.auto.conf").open("a") as settings_file:
            settings_file.write("restore_command = 'false'\n")


def copy_files(home: Path, copy: str) -> list[Path]:
    """What of a catalogue makes one copy recoverable, to where it ended."""
    main = home / NAME
    return [main / "base" / copy, main / "meta" / f"{copy}{_INFO}", main / "identity.json", main / "wals"]


def segment(home: Path, name: str) -> Path:
    """Where a segment of the log lies in a catalogue once it is complete. Pure."""
    return home / NAME / "wals" / name[:16] / name


def log_files(home: Path) -> list[Path]:
    """The log since the oldest copy in a catalogue."""
    return [home / NAME / "wals", home / NAME / "streaming"]


def instant(text: str) -> datetime:
    """A moment with its zone, as Barman and people write it. Pure.

    Raises:
        Failure: it is none, or has no zone.
    """
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise Failure(f"{text!r} is no moment. Write it as 2026-11-28T05:00:00Z.") from error
    if moment.tzinfo is None:
        raise Failure(f"{text!r} does not say of which time zone. Write it as {text}Z, or with +01:00.")
    return moment
