"""Proves a backup: restores everything in it where nobody is disturbed, and compares it with what its manifest says."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from moorage_backup import (
    catalogue,
    cluster,
    databases,
    digests,
    dumps,
    loading,
    metrics,
    objects,
    restoring,
    sealing,
    shipping,
    throwaway,
)
from moorage_backup.backup import repository, say
from moorage_backup.failures import Damaged, Failure
from moorage_backup.repository import Repository
from moorage_backup.settings import Settings

# Where whoever checks the application's migrations finds the restored databases, in the drill's own network.
PORT = 54329


def drill(settings: Settings, *, target: str, wanted: str, wait: float, check_within: float) -> dict[str, Any]:
    """Restore a backup into servers that are thrown away, and publish how that went.

    Args:
        check_within: seconds to hold the restored databases for a verdict on their migrations; 0 asks for none.

    Raises:
        Failure: what of it cannot be restored, or is not what was stored.
    """
    begun, name = time.time(), settings.target(target).name
    held = repository(settings, settings.target(target))
    try:
        with restoring.work(settings, "a restore drill", wait) as scratch:
            facts = _proved(settings, held, scratch, wanted, check_within)
    except BaseException:
        _publish(settings, {("last_result", name): 0})
        raise
    facts = {**facts, "target": name, "seconds": round(time.time() - begun, 3)}
    values = {"last_result": 1, "last_success_timestamp_seconds": begun, "seconds": facts["seconds"]}
    values["lost_seconds"] = facts["lost_seconds"]
    _publish(settings, {(metric, name): value for metric, value in values.items()})
    return facts


def _publish(settings: Settings, values: Mapping[tuple[str, str], float]) -> None:
    named = {_metric(metric, target): value for (metric, target), value in values.items()}
    metrics.update(settings.metrics / "drill.prom", named)


def _metric(name: str, target: str) -> tuple[str, str]:
    return f"moorage_restore_drill_{name}", target


def _proved(settings: Settings, held: Repository, scratch: Path, wanted: str, check_within: float) -> dict[str, Any]:
    snapshot, manifest = catalogue.chosen(held, wanted)
    lost = round(max(0.0, time.time() - _reached(settings, held, manifest["server"])), 3)
    facts: dict[str, Any] = {"backup": snapshot.id[:8], "at": manifest["at"], "lost_seconds": lost}
    held.check()
    stages: dict[str, Callable[[], Any]] = {
        "databases": lambda: _logical(
            settings, held, scratch / "logical", snapshot.id, manifest=manifest, check_within=check_within
        ),
        "server": lambda: _physical(settings, held, scratch / "physical"),
        "objects": lambda: _objects(settings, held, scratch / "objects", snapshot.id, manifest),
    }
    for stage, prove in stages.items():
        begun = time.monotonic()
        facts[stage] = prove()
        say(f"{stage}: restored and compared in {time.monotonic() - begun:.1f} s")
    return facts


def _reached(settings: Settings, held: Repository, server: Mapping[str, Any]) -> float:
    """Up to when the target has everything: what would be lost if the host were lost now came after.

    A target that has the whole log of a server that writes nothing gets no new snapshot, and so the shipper's word
    counts; on another machine than the host's, which has none, the newest snapshot's. A log that does not go on from
    the copy counts for nothing.
    """
    found = catalogue.logs(held)
    log = catalogue.leading(held, reversed(found), settings.barman_home, server)
    if log and log == found[-1]:
        told = metrics.value(settings.metrics / shipping.FILE, shipping.METRIC, held.target.name)
        return told or cluster.instant(log.at).timestamp()
    return cluster.instant(log.at if log else server["end"]).timestamp()


def _logical(
    settings: Settings,
    held: Repository,
    scratch: Path,
    snapshot: str,
    *,
    manifest: Mapping[str, Any],
    check_within: float,
) -> dict[str, int]:
    """Each dump into an empty server, table by table as the manifest says; rows by database."""
    scratch.mkdir(mode=0o711)
    held.bring(snapshot, [settings.dumps], scratch)
    folder = restoring.inside(scratch, settings.dumps)
    rows = {}
    with throwaway.empty(scratch / "server", port=PORT if check_within else 0) as environment:
        loading.roles(environment, (folder / dumps.ROLES).read_text())
        for name in manifest["databases"]:
            sealed = sealing.opened(folder / name)
            loading.load(environment, folder / name, sealed, name, settings.jobs)
            rows[name] = loading.compare(environment, name, sealed, settings.jobs)
        if check_within:
            _await_verdict(settings, check_within)
    return rows


def _await_verdict(settings: Settings, seconds: float) -> None:
    """Hold the restored databases until somebody has said whether the application works with them.

    Raises:
        Failure: with what was said, or that nobody said anything.
    """
    ready, verdict = settings.state / "drill.ready", settings.state / "drill.verdict"
    verdict.unlink(missing_ok=True)
    ready.touch()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if verdict.exists():
            said = verdict.read_text().strip()
            verdict.unlink()
            ready.unlink()
            if said != "works":
                raise Failure(f"The application does not work with the restored database: {said}")
            return
        time.sleep(0.2)
    ready.unlink()
    raise Failure(f"Nobody said within {seconds:.0f} s whether the application works with the restored database.")


def _physical(settings: Settings, held: Repository, scratch: Path) -> dict[str, int]:
    """The whole server with all of its log, every page read; rows by database."""
    scratch.mkdir(mode=0o711)
    rows = {}
    with restoring.recovered(settings, held, scratch, scratch / "server", "") as (environment, _):
        run_checksums = databases.ask("SELECT to_json(current_setting('data_checksums'))", environment)
        for name in settings.databases:
            rows[name] = sum(table.rows for table in digests.of_database(name, environment, settings.jobs).values())
    if run_checksums != "on":
        say("the server keeps no checksums of its pages: a damaged one would not be noticed")
    return rows


def _objects(
    settings: Settings, held: Repository, scratch: Path, snapshot: str, manifest: Mapping[str, Any]
) -> dict[str, int]:
    """Every object, byte for byte; how many by bucket."""
    counts = {}
    for bucket, facts in manifest["objects"].items():
        folder = settings.mirror / bucket
        held.bring(snapshot, [folder, objects.index_of(folder)], scratch)
        here = restoring.inside(scratch, folder)
        index = objects.read_index(here)
        if objects.summed(index) != facts:
            raise Damaged(f"The list of the objects in {bucket} is not what the manifest says.")
        if wrong := objects.damaged(here, index):
            raise Damaged(f"{len(wrong)} objects of {bucket} are not what was stored, {wrong[0]} first.")
        counts[bucket] = len(index)
    return counts
