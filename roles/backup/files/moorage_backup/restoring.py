"""Brings back: one database, one table, objects, the stack's files, or the whole server; always beside what lives."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moorage_backup import catalogue, cluster, databases, dumps, loading, locks, objects, sealing, throwaway
from moorage_backup.backup import repository, say, stopwatch
from moorage_backup.databases import quoted
from moorage_backup.failures import Damaged, Failure, Refused
from moorage_backup.repository import Repository
from moorage_backup.settings import Settings

_SIZES = "SELECT json_object_agg(datname, pg_database_size(oid)) FROM pg_database WHERE NOT datistemplate"
PASSWORD = "DATABASE_ADMIN_PASSWORD"  # noqa: S105 - a variable's name


def administrator(settings: Settings) -> dict[str, str]:
    """How the live server's superuser logs in; its password is handed in for a restore, and is otherwise not here.

    Raises:
        Refused: it was not.
    """
    if not os.environ.get(PASSWORD):
        raise Refused(f"{PASSWORD} is not set: use the host's own `moorage-backup`, which hands it in.")
    return {**settings.server.environment, "PGUSER": "postgres", "PGPASSWORD": os.environ[PASSWORD]}


@contextmanager
def work(settings: Settings, what: str, wait: float) -> Iterator[Path]:
    """A folder for a restore, alone at work. What an interrupted one left is cleared away first, all of it after."""
    with locks.alone(settings.state, locks.RUN, what, wait=wait):
        scratch = settings.work / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o711)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def dump_of(
    settings: Settings, held: Repository, scratch: Path, database: str, *, wanted: str, moment: str
) -> Iterator[Path]:
    """A sealed dump of a database: that of a backup, or one made of the server as it was at a moment."""
    if not moment:
        folder = settings.dumps / database
        with stopwatch("brought"):
            # The dump has a manifest of its own, and that is what it is compared with.
            held.bring(catalogue.named(held, wanted).id, [folder], scratch)
        yield inside(scratch, folder)
        return
    data = scratch / "server"
    with recovered(settings, held, scratch, data, moment) as (environment, _):
        dumps.dump(environment, database, scratch / "dump" / database, settings.jobs)
    shutil.rmtree(data)
    yield scratch / "dump" / database


def inside(scratch: Path, path: Path) -> Path:
    """Where restic puts an absolute path below a folder."""
    return scratch / path.relative_to("/")


@contextmanager
def recovered(
    settings: Settings, held: Repository, scratch: Path, data: Path, moment: str
) -> Iterator[tuple[dict[str, str], str]]:
    """A throw-away server with everything as it was at a moment, or at the end of the log that the target has.

    Gives what libpq's programs need to reach it as its superuser, and up to when the log reaches for certain.
    """
    snapshot, manifest = catalogue.copy_before(held, moment)
    log = catalogue.holding(held, moment, settings.barman_home, manifest["server"])
    copy, home = manifest["server"]["id"], inside(scratch, settings.barman_home)
    held.bring(snapshot.id, cluster.copy_files(settings.barman_home, copy), scratch)
    if log:
        held.bring(log.id, cluster.log_files(settings.barman_home), scratch)
    reached = log.at if log else manifest["server"]["end"]
    say(f"{held.target.name}: copy {copy}, and the log as it was stored {reached}")
    limits = manifest["server"]["settings"]
    try:
        cluster.recover(settings, home, copy, data, moment)
        with throwaway.running(data, limits=limits) as environment:
            yield environment, reached
    except throwaway.Unreached:
        # Nothing was committed after that moment, so the end of the log is the state at it.
        shutil.rmtree(data)
        cluster.recover(settings, home, copy, data)
        with throwaway.running(data, limits=limits) as environment:
            yield environment, reached


def database(
    settings: Settings,
    *,
    name: str,
    into: str,
    target: str,
    wanted: str,
    moment: str,
    tables: tuple[str, ...],
    wait: float,
) -> dict[str, Any]:
    """Restore a database, or some of its tables, into a new one on the live server, and compare it with the manifest.

    Raises:
        Refused: nothing was begun.
        Damaged, Failure: there is no database of the new name.
    """
    begun = time.monotonic()
    admin = administrator(settings)
    loading.refuse(into, loading.look(admin, into))
    held = repository(settings, settings.target(target))
    with (
        work(settings, f"a restore of {name}", wait) as scratch,
        dump_of(settings, held, scratch, name, wanted=wanted, moment=moment) as folder,
    ):
        manifest = sealing.opened(folder)
        with stopwatch("loaded"):
            loading.load(admin, folder, manifest, into, settings.jobs, tables=tables)
        try:
            with stopwatch("compared"):
                rows = loading.compare(admin, into, manifest, settings.jobs, tables)
        except Failure:
            databases.tell(f"DROP DATABASE IF EXISTS {quoted(into)} WITH (FORCE)", admin)
            raise
    there = loading.look(admin, into) or {}
    return {
        "database": into,
        "as_of": moment or manifest["at"],
        "rows": rows,
        "fingerprint": loading.fingerprint(there),
        "seconds": round(time.monotonic() - begun, 3),
    }


def objects_(
    settings: Settings, *, bucket: str, prefix: str, into: str, target: str, wanted: str, wait: float
) -> dict[str, Any]:
    """Restore the objects below a prefix to below another, and compare every byte.

    Raises:
        Refused: there is something below the other already, or nothing in the backup.
        Damaged: an object is not what was stored; none was written.
    """
    begun = time.monotonic()
    if settings.objects is None:
        raise Refused("The inventory names no bucket to back up (backup_buckets). Nothing was changed.")
    held = repository(settings, settings.target(target))
    snapshot = catalogue.named(held, wanted)
    folder = settings.mirror / bucket
    with work(settings, f"a restore of {bucket}/{prefix}", wait) as scratch:
        held.bring(snapshot.id, [folder / prefix, objects.index_of(folder)], scratch)
        here = inside(scratch, folder)
        index = {name: entry for name, entry in objects.read_index(here).items() if name.startswith(prefix)}
        if prefix and not index:
            raise Refused(f"The backup holds no object {bucket}/{prefix}. Nothing was changed.")
        if wrong := objects.damaged(here, index):
            raise Damaged(f"{len(wrong)} objects are not what was stored, {wrong[0]} first. Take an older backup.")
        if objects.any_below(settings.objects, bucket, into):
            raise Refused(
                f"There are objects below {bucket}/{into} already. Give a prefix that is not taken."
                " Nothing was changed."
            )
        objects.put(settings.objects, here, bucket, into)
    return {"bucket": bucket, "below": into, "seconds": round(time.monotonic() - begun, 3), **objects.summed(index)}


def files(settings: Settings, *, into: Path, target: str, wanted: str) -> dict[str, Any]:
    """Bring the archive of the stack's own files into a folder: the latest is what went with the log, if anything did.

    Raises:
        Damaged: it is not what the manifest says.
    """
    held = repository(settings, settings.target(target))
    snapshot, manifest = catalogue.chosen(held, wanted)
    stored, at, digest = settings.files, manifest["at"], manifest["files"]["sha256"]
    later = catalogue.since(catalogue.logs(held), snapshot.at) if wanted == "latest" else []
    if later := [one for one in later if str(settings.files_of_now) in one.paths]:
        # It has no manifest. restic compares what it brings with the digests that it was stored under.
        snapshot, stored, at, digest = later[-1], settings.files_of_now, later[-1].at, ""
    scratch = into / ".restored"
    shutil.rmtree(scratch, ignore_errors=True)
    held.bring(snapshot.id, [stored], scratch)
    archive = inside(scratch, stored)
    if not archive.is_file() or (digest and sealing.file_digest(archive) != digest):
        raise Damaged(f"{stored.name} of {snapshot.id[:8]} is not what the manifest says. Take an older backup.")
    archive.rename(into / settings.files.name)
    shutil.rmtree(scratch)
    return {"at": at, "archive": str(into / settings.files.name)}


def server(settings: Settings, *, into: Path, target: str, moment: str, wait: float) -> dict[str, Any]:
    """Make the whole server's data folder as it was at a moment, started once and ended cleanly.

    Args:
        into: a folder, empty or of an interrupted restore; `data` appears in it when everything is done.

    Raises:
        Refused: there is one already.
    """
    begun = time.monotonic()
    if (into / "data").exists():
        raise Refused(
            f"{into}/data is there already, and a server is never restored over another. Nothing was changed."
        )
    held = repository(settings, settings.target(target))
    draft = into / "partial"
    shutil.rmtree(draft, ignore_errors=True)
    with (
        work(settings, "a restore of the server", wait) as scratch,
        recovered(settings, held, scratch, draft, moment) as (environment, reached),
    ):
        found = databases.ask(_SIZES, environment)
    draft.rename(into / "data")
    return {"databases": found, "as_of": moment or reached, "seconds": round(time.monotonic() - begun, 3)}
