"""The backups in a target, as their seals tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from moorage_backup import sealing
from moorage_backup.cluster import instant
from moorage_backup.failures import Damaged, Refused
from moorage_backup.repository import LOG, SEALED, Repository, Snapshot, credible

MANIFEST = Path("/backup") / sealing.MANIFEST


def listed(repository: Repository) -> list[dict[str, Any]]:
    """The sealed backups, oldest first: snapshot and time."""
    return [{"snapshot": snapshot.id[:8], "at": snapshot.at} for snapshot in repository.snapshots(SEALED)]


def chosen(repository: Repository, wanted: str) -> tuple[Snapshot, dict[str, Any]]:
    """A sealed backup and its manifest.

    Args:
        wanted: `latest`, or the beginning of a snapshot's id, as `moorage-backup list` prints it.

    Raises:
        Refused: there is none like that, or more than one.
        Damaged: its manifest cannot be read.
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
    try:
        return fitting[0], json.loads(repository.read(fitting[0].id, MANIFEST))
    except ValueError as error:
        raise Damaged(f"The manifest of {fitting[0].id[:8]} cannot be read ({error}). Take an older backup.") from error


def _credible(snapshots: list[Snapshot]) -> list[Snapshot]:
    """Oldest first, without those of the future: the newest would be one of them for as long as it lies ahead."""
    past = [snapshot for snapshot in snapshots if credible(snapshot)]
    return sorted(past or snapshots, key=lambda snapshot: instant(snapshot.at))


def holding(repository: Repository, moment: str) -> Snapshot:
    """The snapshot that holds the log of a moment: the first that was begun after it; the newest of all without one.

    Raises:
        Refused: the target holds nothing as late as that.
    """
    found = _credible([*repository.snapshots(SEALED), *repository.snapshots(LOG)])
    if not found:
        raise Refused(f"{repository.target.name} holds no backup.")
    if not moment:
        return found[-1]
    later = [snapshot for snapshot in found if instant(snapshot.at) > instant(moment)]
    if not later:
        raise Refused(f"{repository.target.name} holds the log up to {found[-1].at} only, and {moment} is later.")
    return later[0]
