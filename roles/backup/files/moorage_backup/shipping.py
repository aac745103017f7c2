"""The write-ahead log on its way: received as it is written, and stored in every target every few minutes.

The stack's own files go with it when they changed: a release or a secret of this hour is not to wait for the night.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from moorage_backup import cluster, locks, metrics
from moorage_backup.backup import repository, say
from moorage_backup.failures import Failure
from moorage_backup.repository import LOG
from moorage_backup.settings import Settings, Target

FILE, METRIC = "wal.prom", "moorage_wal_archive_last_success_timestamp_seconds"
# A receiver that ended is started again after this many seconds.
AGAIN = 5.0


@dataclass
class Receiver:
    """The process that receives the log."""

    settings: Settings
    process: subprocess.Popen[bytes] | None = None
    tried: float = 0.0

    def ensure(self) -> None:
        """Start it where it does not run."""
        if self.process and self.process.poll() is None:
            return
        if self.process:
            say(f"the receiver of the log ended with code {self.process.returncode}")
        if time.monotonic() - self.tried < AGAIN:
            return
        self.tried = time.monotonic()
        configuration = cluster.configure(self.settings)
        words = ["barman", "-c", str(configuration), "receive-wal", "--create-slot", "--if-not-exists", cluster.NAME]
        # A server that does not answer is for the receiver to say, and to be tried again.
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(words, env=_environment(self.settings), capture_output=True, check=False, timeout=60)
        words = ["barman", "-c", str(configuration), "receive-wal", cluster.NAME]
        self.process = subprocess.Popen(words, env=_environment(self.settings))

    def stop(self) -> None:
        """End it, and wait until it has."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass
class Shipper:
    """Stores the log in the targets, each by itself: one that does not answer holds no other up."""

    settings: Settings
    # How far the log was, and of when the files were.
    shipped: dict[str, tuple[int, int]] = field(default_factory=dict)
    # Targets that took the last round: they exist, and no killed run's lock is in the way. restic takes half a second
    # of processor for each question.
    sound: set[str] = field(default_factory=set)

    def round(self) -> list[str]:
        """Store what was written since the last round; what failed, in words.

        A target that already has everything is only noted to be up to date.
        """
        at = time.time()
        try:
            return self._round(at)
        except Failure as failed:
            # A server that is down writes nothing; but since when is not known here, so no progress is claimed.
            return [f"the server does not say how far its log is: {failed}"]

    def _round(self, at: float) -> list[str]:
        """The same; raises Failure where the server is not there, or no longer."""
        written = int(cluster.positions(self.settings)["written"])
        now = self.settings.files_of_now
        files = now.stat().st_mtime_ns if now.exists() else 0
        due = [target for target in self.settings.targets if self.shipped.get(target.name) != (written, files)]
        for target in self.settings.targets:
            if target not in due:
                self._note(target, at)
        if not due:
            return []
        if not cluster.received(self.settings, written):
            return ["the log does not arrive here: the receiver is behind"]
        return [line for target in due if (line := self._ship(target, (written, files), at))]

    def _ship(self, target: Target, state: tuple[int, int], at: float) -> str:
        settings = self.settings
        try:
            held = repository(settings, target)
            if target.name not in self.sound:
                held.ensure()
            with locks.alone(settings.state, locks.LOG, f"shipping to {target.name}", wait=settings.target_seconds):
                cluster.take_over(settings)
                moment = datetime.fromtimestamp(at, UTC)
                files = [settings.files_of_now] if settings.files_of_now.exists() else []
                paths = [*cluster.log_files(settings.barman_home), *files]
                held.add(paths, LOG, moment, seconds=settings.target_seconds)
        except Failure as failed:
            self.sound.discard(target.name)
            return f"{target.name}: {failed}"
        self.sound.add(target.name)
        self.shipped[target.name] = state
        self._note(target, at)
        return ""

    def _note(self, target: Target, at: float) -> None:
        metrics.update(self.settings.metrics / FILE, {(METRIC, target.name): at})


def _environment(settings: Settings) -> dict[str, str]:
    return {**os.environ, **settings.server.environment}


def alive(settings: Settings) -> Path:
    """Touched by whoever receives and ships, between two rounds: the container's health check looks at it."""
    return settings.state / "alive"


def serve(settings: Settings) -> None:
    """Receive and ship until told to end (SIGTERM). What fails is tried again at the next round, and said once."""
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    receiver, shipper = Receiver(settings), Shipper(settings)
    last: list[str] = []
    due = 0.0
    try:
        while True:
            alive(settings).touch()
            receiver.ensure()
            if time.monotonic() >= due:
                due = time.monotonic() + settings.ship_seconds
                failures = shipper.round()
                for line in failures if failures != last else []:
                    say(line)
                if last and not failures:
                    say("the log is in every target again")
                last = failures
            time.sleep(1)
    finally:
        receiver.stop()
