"""A target as restic keeps it: encrypted here, deduplicated, each snapshot written last and so whole or not there.

restic's exit codes are those of its manual (Scripting, 0.17 and newer).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from moorage_backup.failures import CommandFailed, Damaged, Unreachable, WrongKey
from moorage_backup.running import run
from moorage_backup.settings import Retention, Target

NO_REPOSITORY, WRONG_PASSWORD = 10, 12
# A sealed backup, and the write-ahead log as it grows in between.
SEALED, LOG = "sealed", "log"
# Another process of ours may be pruning.
_LOCK_WAIT = "10m"
_DAMAGE = ("ciphertext verification failed", "hash does not match", "invalid data returned", "wrong data returned",
           "does not match", "unable to load index", "not readable", "Fatal: repository contains errors")  # fmt: skip


@dataclass(frozen=True)
class Snapshot:
    """What a target holds of one moment. `at` is RFC 3339 in UTC."""

    id: str
    at: str
    tags: tuple[str, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Added:
    """What a snapshot came to, in bytes: all that it holds, and what the target grew by."""

    id: str
    files: int
    bytes: int
    grown: int


def credible(snapshot: Snapshot) -> bool:
    """Whether a snapshot is of the past, an hour's doubt granted."""
    return datetime.fromisoformat(snapshot.at.replace("Z", "+00:00")) < datetime.now(UTC) + timedelta(hours=1)


class Repository:
    """One target.

    Args:
        key: what everything in it is encrypted with.
        host: snapshots of other hosts in the same place are not looked at.
        seconds: how long a target may take for what should be quick.
        rate_mib: upload at most these MiB a second; 0 is no limit.
    """

    def __init__(self, target: Target, key: str, host: str, *, cache: Path, seconds: int, rate_mib: int = 0) -> None:
        self.target = target
        self._host = host
        self._seconds = seconds
        limit = ["--limit-upload", str(rate_mib * 1024)] if rate_mib and not target.is_local else []
        self._words = [
            "restic",
            "--repo",
            target.repository,
            "--cache-dir",
            str(cache),
            "--retry-lock",
            _LOCK_WAIT,
            *limit,
        ]
        self._environment = {**target.environment, "TZ": "UTC", "RESTIC_PASSWORD": key, "RESTIC_PROGRESS_FPS": "0"}

    def _restic(self, *words: str, seconds: float | None = None, cwd: Path | None = None) -> str:
        """One run of restic; what it printed.

        Raises:
            WrongKey, Damaged, Unreachable: in words for a person.
        """
        try:
            return run([*self._words, *words], env=self._environment, seconds=seconds, cwd=cwd)
        except CommandFailed as failed:
            raise self._translated(failed) from failed

    def _translated(self, failed: CommandFailed) -> Exception:
        name, said = self.target.name, failed.said.strip()[-600:]
        if failed.code == NO_REPOSITORY:
            return Unreachable(f"{name}: there are no backups in {self.target.repository}.")
        if failed.code == WRONG_PASSWORD:
            return WrongKey(
                f"{name}: BACKUP_ENCRYPTION_KEY does not open {self.target.repository}. It was made with another key:"
                " use that one. Nothing was changed."
            )
        if any(sign in failed.said for sign in _DAMAGE):
            return Damaged(f"{name}: what is stored there is damaged: {said}")
        return Unreachable(f"{name}: {self.target.repository} did not do what was asked: {said or failed}")

    def ensure(self) -> None:
        """Make the repository where there is none.

        Raises:
            WrongKey: there is one, of another key.
            Unreachable: nobody answers.
        """
        try:
            self._restic("cat", "config", seconds=self._seconds)
        except Unreachable as failed:
            if not isinstance(failed.__cause__, CommandFailed) or failed.__cause__.code != NO_REPOSITORY:
                raise
            self._restic("init", seconds=self._seconds)
        # What a killed run of this host has left; a living one's lock stays.
        self._restic("unlock", seconds=self._seconds)

    def add(
        self,
        paths: Sequence[Path],
        tag: str,
        at: datetime,
        *,
        exclude: Sequence[Path] = (),
        seconds: float | None = None,
    ) -> Added:
        """Store these paths as one snapshot. It is there when everything in it is.

        Args:
            at: up to when the log in it reaches for certain (UTC); the snapshot's own time.

        Raises:
            WrongKey, Damaged, Unreachable: no snapshot was made.
        """
        words = ["backup", "--json", "--quiet", "--host", self._host, "--tag", tag, "--no-scan"]
        words += ["--time", f"{at:%Y-%m-%d %H:%M:%S}"]
        words += [word for path in exclude for word in ("--exclude", str(path))]
        out = self._restic(*words, "--", *map(str, paths), seconds=seconds)
        summary = json.loads(out.splitlines()[-1])
        return Added(
            summary["snapshot_id"],
            summary["total_files_processed"],
            summary["total_bytes_processed"],
            summary["data_added_packed"],
        )

    def snapshots(self, tag: str) -> list[Snapshot]:
        """The snapshots of this host with that tag, oldest first."""
        out = self._restic("snapshots", "--json", "--host", self._host, "--tag", tag, seconds=self._seconds)
        found = [
            Snapshot(entry["id"], entry["time"], tuple(entry.get("tags") or ()), tuple(entry["paths"]))
            for entry in json.loads(out) or []
        ]
        return sorted(found, key=lambda snapshot: snapshot.at)

    def has(self, snapshot: str, path: Path) -> bool:
        """Whether a snapshot holds that file."""
        out = self._restic("ls", "--json", snapshot, str(path), seconds=self._seconds)
        return any(json.loads(line).get("path") == str(path) for line in out.splitlines())

    def read(self, snapshot: str, path: Path) -> str:
        """The text of one file in a snapshot."""
        return self._restic("dump", snapshot, str(path), seconds=self._seconds)

    def bring(self, snapshot: str, paths: Sequence[Path], into: Path) -> None:
        """Put paths of a snapshot below a folder, verified against the digests that they are stored under.

        Raises:
            Damaged: something is not what was stored.
        """
        words = [word for path in paths for word in ("--include", str(path))]
        self._restic("restore", snapshot, "--target", str(into), "--overwrite", "if-changed", *words)

    def forget(self, retention: Retention) -> list[Snapshot]:
        """Drop what retention does not keep, and the space that it took.

        Returns:
            Snapshots of the future, of a clock that was wrong. Counted from them everything else would be old, so as
            long as there are any, nothing is dropped.
        """
        if future := [one for tag in (SEALED, LOG) for one in self.snapshots(tag) if not credible(one)]:
            return future
        days = retention.recovery_days
        sealed = [
            "--keep-daily",
            retention.daily,
            "--keep-weekly",
            retention.weekly,
            "--keep-monthly",
            retention.monthly,
        ]
        # Whoever wants a moment between two sealed backups takes the log as it was within the hour after.
        log = ["--keep-last", 2, "--keep-within", "1d", "--keep-within-hourly", f"{days + 1}d"]
        for tag, keep in ((SEALED, sealed), (LOG, log)):
            self._restic(
                "forget", "--host", self._host, "--tag", tag, "--group-by", "host,tags", *map(str, keep), "--quiet"
            )
        self._restic("prune", "--quiet", "--max-unused", "10%")
        return []

    def check(self) -> None:
        """Whether everything that the snapshots name is there. That it is undamaged shows when it is brought back.

        Raises:
            Damaged: it is not.
        """
        try:
            self._restic("check", "--quiet")
        except Unreachable as failed:
            raise Damaged(str(failed)) from failed

    def stored_bytes(self) -> int:
        """What the target holds, as it lies there."""
        out = self._restic("stats", "--mode", "raw-data", "--json", seconds=self._seconds)
        return int(json.loads(out)["total_size"])
