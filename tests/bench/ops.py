"""`make bench-ops`: backups and restores of 1 GB beside the bare tools, their cost meanwhile, and that of a lost host.

Two parts (PARTS="speed host", both without): the programs alone beside `pg_dump | zstd` and `pg_restore -j`, in turn,
in the same container on the same server; and a whole lab host: its p95 while a backup runs, and its rebuilding.
All figures of one table come from one run on one machine; only their ratios travel.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.ops_data import fill
from tests.bench.ops_host import host_part
from tests.lab import engine as engines
from tests.lab.backups.stage import Stage

ROUNDS = 3
ASKED = 0.8


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


class Speed:
    """The programs alone, on a stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.size = fill(stage.sql)
        # What is stored of it by the log is not to be timed.
        stage.wait_until_shipped("local", seconds=400)

    def bare_dump(self) -> float:
        """`pg_dump | zstd`, to the same disk."""
        line = "pg_dump -h postgres -U moorage_backup shop | zstd -q -f -o /backup/bare.zst"
        return timed(lambda: self._shell(line, "b"))

    def backup(self) -> dict[str, float]:
        """A whole backup, to a target on the same disk: seconds of each of its stages."""
        begun = time.monotonic()
        return {**self._staged("run"), "whole": time.monotonic() - begun}

    def bare_restore(self) -> float:
        """`pg_restore -j` of the same dump into a new database, which it takes a statement to make."""
        made = "createdb -h postgres -U postgres -T template0 -O shop_owner bare"
        options = "-h postgres -U postgres --no-owner -j 2 -d bare"
        seconds = timed(lambda: self._shell(f"{made} && pg_restore {options} /backup/dumps/shop/content", "x"))
        self._drop("bare")
        return seconds

    def restore(self) -> dict[str, float]:
        """A database out of the target, loaded, and every row compared with the manifest: seconds of each."""
        words = ("restore-database", "--database", "shop", "--into", "shop_then", "--target", "local")
        begun = time.monotonic()
        made = {**self._staged(*words), "whole": time.monotonic() - begun}
        self._drop("shop_then")
        return made

    def _staged(self, *words: str) -> dict[str, float]:
        done = self._stage.call(*words)
        assert done.returncode == 0, done.stderr
        return {name: float(took) for name, took in re.findall(r"^(\w+): ([\d.]+) s$", done.stderr, re.MULTILINE)}

    def _shell(self, line: str, password: str) -> None:
        shell = ("bash", "-euo", "pipefail", "-c", line)
        self._stage.engine.run("exec", "-e", f"PGPASSWORD={password}", self._stage.of("backup"), *shell)

    def _drop(self, database: str) -> None:
        self._stage.sql(f"DROP DATABASE {database} WITH (FORCE)", "postgres")
        self._stage.sql("CHECKPOINT", "postgres")


def speed_part() -> int:
    """Print the table of the programs alone; how many figures fall short."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="bench-ops-") as folder:
        stage = Stage(engines.ensure(), "moorage-bench-ops", Path(folder))
        stage.down()
        try:
            stage.up()
            stage.configure(targets=[{"name": "local", "path": "/backup/repository"}], ship_seconds=120)
            stage.engine.run("restart", stage.of("backup"))
            return _speed(Speed(stage))
        finally:
            stage.down()


def _speed(speed: Speed) -> int:
    first = speed.backup()
    rounds = [(speed.bare_dump(), speed.backup(), speed.bare_restore(), speed.restore()) for _ in range(ROUNDS)]
    print(f"\n| {speed.size / 2**30:.2f} GiB, median of {ROUNDS} | ours, s | bare, s | ratio (asked) |")
    print("|---|---|---|---|")
    short = 0
    for name, ours, bare in (
        ("dump, digests of every table included, beside `pg_dump \\| zstd`", [one[1]["databases"] for one in rounds],
         [one[0] for one in rounds]),
        ("restore, out of the target into a new database, beside `pg_restore -j 2`",
         [one[3]["whole"] - one[3]["compared"] for one in rounds], [one[2] for one in rounds]),
        ("the same, and every row compared with the manifest", [one[3]["whole"] for one in rounds],
         [one[2] for one in rounds]),
    ):  # fmt: skip
        ratio = statistics.median(there / here for here, there in zip(ours, bare, strict=True))
        short += ratio < ASKED
        print(
            f"| {name} | {statistics.median(ours):.1f} | {statistics.median(bare):.1f} | **{ratio:.2f}** ({ASKED}) |",
            flush=True,
        )
    print("\n| a whole backup | the first, s | a later one, s |\n|---|---|---|")
    for name in first:
        print(f"| {name} | {first[name]:.1f} | {statistics.median(one[1][name] for one in rounds):.1f} |", flush=True)
    print("\n| a whole restore | s |\n|---|---|")
    for name in rounds[0][3]:
        print(f"| {name} | {statistics.median(one[3][name] for one in rounds):.1f} |", flush=True)
    return short


PARTS = {"speed": speed_part, "host": host_part}


def main() -> int:
    """Print the tables."""
    chosen = sys.argv[1:] or list(PARTS)
    return 1 if sum(PARTS[name]() for name in chosen) else 0


if __name__ == "__main__":
    sys.exit(main())
