"""A whole backup: dumps, a copy of the server, the objects and the stack's files, sealed, in every target."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moorage_backup import cluster, databases, dumps, locks, metrics, objects, sealing
from moorage_backup.failures import Failure, Refused
from moorage_backup.repository import SEALED, Added, Repository
from moorage_backup.settings import Settings, Target

# Left free for PostgreSQL, which stops where the disk is full.
RESERVE = 256 * 2**20
_NEED = "SELECT to_json(sum(pg_database_size(oid))) FROM pg_database WHERE datallowconn"


def repository(settings: Settings, target: Target) -> Repository:
    """A target, ready to be asked."""
    return Repository(
        target,
        settings.key,
        settings.host,
        cache=settings.work / "cache",
        seconds=settings.target_seconds,
        rate_mib=settings.rate_mib,
    )


def backup(settings: Settings, wait: float) -> dict[str, Any]:
    """Back everything up; what is in it, and what each target took.

    Raises:
        Failure: of a stage, or of a target; those before and beside it are done.
    """
    begun = time.time()
    _note(settings, {("last_attempt_timestamp_seconds", target.name): begun for target in settings.targets})
    try:
        with locks.alone(settings.state, locks.RUN, "a backup", wait=wait):
            manifest = gather(settings)
            taken, failures = _store_everywhere(settings, begun)
    except BaseException:
        _note(settings, {("last_result", target.name): 0 for target in settings.targets})
        raise
    if failures:
        raise Failure("Not every target has this backup. " + " ".join(failures))
    return {**summary(manifest), "targets": {name: asdict(added) for name, added in taken.items()}}


def summary(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a person wants to know of a manifest: how many rows and objects. Pure."""
    tables = {name: dump["tables"].values() for name, dump in manifest["databases"].items()}
    rows = {name: sum(table["rows"] for table in held) for name, held in tables.items()}
    counts = {
        bucket: {name: held[name] for name in ("objects", "bytes")} for bucket, held in manifest["objects"].items()
    }
    return {"id": manifest["id"], "at": manifest["at"], "rows": rows, "objects": counts}


def gather(settings: Settings) -> dict[str, Any]:
    """Everything that a backup holds, brought together on the host; its manifest, which is written last."""
    work = settings.work
    sealed = work / sealing.MANIFEST
    sealed.unlink(missing_ok=True)
    at = datetime.now(UTC)
    _refuse_full_disk(settings)
    stages: dict[str, Callable[[], Any]] = {
        "databases": lambda: _dumps(settings),
        "roles": lambda: dumps.roles(settings),
        "objects": lambda: objects.mirror(settings),
        "files": lambda: _files(settings),
        "server": lambda: cluster.base_backup(settings),
    }
    facts: dict[str, Any] = {"id": f"{at:%Y%m%dT%H%M%SZ}", "at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "host": settings.host}
    for name, stage in stages.items():
        with stopwatch(name):
            facts[name] = stage()
    sealing.write(sealed, json.dumps(facts, indent=2, sort_keys=True) + "\n")
    return facts


def _files(settings: Settings) -> dict[str, Any]:
    if not settings.files.exists():
        raise Refused(f"{settings.files} is missing: use the host's own `moorage-backup run`, which makes it.")
    return {"bytes": settings.files.stat().st_size, "sha256": sealing.file_digest(settings.files)}


def _dumps(settings: Settings) -> dict[str, Any]:
    environment = settings.server.environment
    return {name: dumps.dump(environment, name, settings.dumps / name, settings.jobs) for name in settings.databases}


def _store_everywhere(settings: Settings, begun: float) -> tuple[dict[str, Added], list[str]]:
    """What each target took, and what failed in words: one target's failure is no other's."""
    taken: dict[str, Added] = {}
    failures = []
    for target in settings.targets:
        try:
            taken[target.name] = _store(settings, target, begun)
        except Failure as failed:
            failures.append(str(failed))
            _note(settings, {("last_result", target.name): 0})
    return taken, failures


def _store(settings: Settings, target: Target, begun: float) -> Added:
    """Put what was gathered into one target, and drop what it need not keep."""
    started = time.monotonic()
    held = repository(settings, target)
    held.ensure()
    added = held.add(paths(settings), SEALED, datetime.fromtimestamp(begun, UTC), exclude=excluded(settings))
    for future in held.forget(settings.retention):
        say(f"{target.name}: {future.id[:8]} is of {future.at}, when the clock was wrong; nothing is dropped")
    say(f"{target.name}: {added.files} files, {added.bytes} bytes, {added.grown} of them new")
    values = {
        "last_success_timestamp_seconds": begun,
        "last_result": 1,
        "size_bytes": added.bytes,
        "stored_bytes": held.stored_bytes(),
        "duration_seconds": time.monotonic() - started,
    }
    _note(settings, {(name, target.name): value for name, value in values.items()})
    return added


def paths(settings: Settings) -> list[Path]:
    """What a sealed backup holds."""
    own = [settings.barman_home, settings.dumps, settings.mirror, settings.files, settings.work / sealing.MANIFEST]
    return [path for path in own if path.exists()]


def excluded(settings: Settings) -> list[Path]:
    """What in those is of no use to anybody later. The stream goes on meanwhile, and is stored by itself."""
    return [settings.barman_home / ".*.lock", settings.barman_home / cluster.NAME / "streaming"]


def _refuse_full_disk(settings: Settings) -> None:
    """A copy and a dump beside those before them must fit.

    Raises:
        Refused: they would not.
    """
    size = int(databases.ask(_NEED, settings.server.environment) or 0)
    free = shutil.disk_usage(settings.work).free
    if free < 2 * size + RESERVE:
        raise Refused(
            f"The databases have {size // 2**20} MB, and {settings.work} {free // 2**20} MB free;"
            f" {(2 * size + RESERVE) // 2**20} MB are wanted, so that PostgreSQL still has room."
            " Free some, or take a larger disk. Nothing was begun."
        )


def _note(settings: Settings, values: dict[tuple[str, str], float]) -> None:
    named = {(f"moorage_backup_{name}", target): value for (name, target), value in values.items()}
    metrics.update(settings.metrics / "backup.prom", named)


@contextmanager
def stopwatch(stage: str) -> Iterator[None]:
    """Say how many seconds a stage took, if it went well."""
    begun = time.monotonic()
    yield
    say(f"{stage}: {time.monotonic() - begun:.1f} s")


def say(line: str) -> None:
    """A line for the journal."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - it is the journal that listens
