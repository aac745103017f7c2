"""The backups in a target, as their seals tell."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from moorage_backup import cluster, sealing
from moorage_backup.cluster import instant
from moorage_backup.failures import Damaged, Refused
from moorage_backup.repository import LOG, SEALED, Repository, Snapshot, credible

MANIFEST = Path("/backup") / sealing.MANIFEST


def listed(repository: Repository) -> list[dict[str, Any]]:
    """The sealed backups, oldest first: snapshot and time."""
    return [{"snapshot": snapshot.id[:8], "at": snapshot.at} for snapshot in repository.snapshots(SEALED)]


def chosen(repository: Repository, wanted: str) -> tuple[Snapshot, dict[str, Any]]:
    """A sealed backup and its manifest.

    Raises:
        Refused: see `named`.
        Damaged: its manifest cannot be read.
    """
    snapshot = named(repository, wanted)
    return snapshot, manifest_of(repository, snapshot)


def named(repository: Repository, wanted: str) -> Snapshot:
    """A sealed backup alone: to read its manifest takes restic most of a second more.

    Args:
        wanted: `latest`, or the beginning of a snapshot's id, as `moorage-backup list` prints it.

    Raises:
        Refused: there is none like that, or more than one.
    """
    found = repository.snapshots(SEALED)
    fitting = (
        _credible(found)[-1:]
        if wanted == "latest"
        else [snapshot for snapshot in found if snapshot.id.startswith(wanted)]
    )
    if len(fitting) != 1:
        name = repository.target.name
        raise Refused(
            f"{name} has {len(fitting)} sealed backups {wanted!r}; `moorage-backup list --target {name}` shows all."
        )
    return fitting[0]


def manifest_of(repository: Repository, snapshot: Snapshot) -> dict[str, Any]:
    """What a sealed backup says of itself.

    Raises:
        Damaged: it cannot be read.
    """
    try:
        manifest: dict[str, Any] = json.loads(repository.read(snapshot.id, MANIFEST))
    except ValueError as error:
        raise Damaged(f"The manifest of {snapshot.id[:8]} cannot be read ({error}). Take an older backup.") from error
    return manifest


def copy_before(repository: Repository, moment: str) -> tuple[Snapshot, dict[str, Any]]:
    """The newest sealed backup whose copy of the server had ended at a moment; the newest of all without one.

    Raises:
        Refused: there is none.
    """
    oldest = "there is none here at all"
    for snapshot in reversed(_credible(repository.snapshots(SEALED))):
        manifest = manifest_of(repository, snapshot)
        ended = manifest["server"]["end"]
        if not moment or instant(ended) <= instant(moment):
            return snapshot, manifest
        oldest = f"the oldest here ended {ended}"
    raise Refused(f"No copy of the server is older than {moment or 'now'}: {oldest}. Choose a later moment.")


def _credible(snapshots: list[Snapshot]) -> list[Snapshot]:
    """Oldest first, without those of the future: the newest would be one of them for as long as it lies ahead."""
    past = [snapshot for snapshot in snapshots if credible(snapshot)]
    return sorted(past or snapshots, key=lambda snapshot: instant(snapshot.at))


def logs(repository: Repository) -> list[Snapshot]:
    """The snapshots of the log, oldest first."""
    return _credible(repository.snapshots(LOG))


def since(found: list[Snapshot], moment: str) -> list[Snapshot]:
    """Those of a later moment. Pure."""
    return [snapshot for snapshot in found if instant(snapshot.at) > instant(moment)]


def leading(
    repository: Repository, found: Iterable[Snapshot], home: Path, server: Mapping[str, Any]
) -> Snapshot | None:
    """The first of these snapshots of the log that goes on from a copy of the server: it has the copy's first segment.

    Args:
        home: Barman's, as the snapshots have it.
        server: what the backup's manifest says of the copy.
    """
    first = cluster.segment(home, server["begin_wal"])
    return next((snapshot for snapshot in found if repository.has(snapshot.id, first)), None)


def holding(repository: Repository, moment: str, home: Path, server: Mapping[str, Any]) -> Snapshot | None:
    """The snapshot that holds the log from a copy of the server up to a moment: the first that was begun after it.

    Without a moment the newest; None where only sealed backups are there, which hold no more than their own. A rebuilt
    host's log begins anew: what does not go on from the copy (`leading`) is passed over.

    Raises:
        Refused: the target does not hold the log up to that moment.
    """
    found = logs(repository)
    if not moment:
        return leading(repository, reversed(found), home, server)
    later = since(found, moment)
    if fitting := leading(repository, later, home, server):
        return fitting
    if later:
        raise Refused(
            f"{repository.target.name} holds no log that leads from the copy of {server['end']} to {moment}: the server"
            " was rebuilt or restored in between. Choose an earlier moment, or one after the next backup."
        )
    reached = f"up to {found[-1].at} only, and {moment} is later" if found else "of no moment"
    raise Refused(f"{repository.target.name} holds the log {reached}.")
