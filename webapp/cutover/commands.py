"""`moorage cutover`: from a document store to PostgreSQL, with proof."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import click

from webapp.cutover import plan as planning
from webapp.cutover import report
from webapp.cutover import verify as verifying
from webapp.cutover.agreed import loosening
from webapp.cutover.opening import FORMS, source_of
from webapp.cutover.progress import Meter
from webapp.cutover.sources import Source
from webapp.cutover.step_commands import COMMANDS, proof_options
from webapp.cutover.switching import NoGo, RecordsLeftOut
from webapp.cutover.sync import Sync, Synced
from webapp.cutover.target import Target
from webapp.database.migrations import owner_url
from webapp.db import Database
from webapp.failures import Failure
from webapp.printing import json_option, show
from webapp.settings import Settings
from webapp.tenants import service as tenants
from webapp.vaulting import service as vaulting

F = TypeVar("F", bound=Callable[..., Any])


class PlanStops(Failure):
    code = "CUTOVER_STOPPED"


def source_options(command: F) -> F:
    """`--source`, `--root`, `--tenant-field`, `--tenant` and `--quiet`."""
    for option in (
        click.option("--quiet", is_flag=True, help="No progress on stderr."),
        click.option("--tenant", "only", type=click.UUID, multiple=True, help="These tenants alone. May be repeated."),
        click.option("--tenant-field", default="tenant_id", show_default=True, help="In mongo-export."),
        click.option("--root", help="The path above `tenants`; RTDB_ROOT where it is left out."),
        click.option("--source", "named", required=True, help=f"{FORMS}."),
    ):
        command = option(command)
    return command


@click.group()
def cutover() -> None:
    """From a document store to PostgreSQL, with proof."""


@cutover.command()
@source_options
@json_option
def plan(
    *, named: str, root: str | None, tenant_field: str, only: tuple[UUID, ...], quiet: bool, as_json: bool
) -> None:
    """Count and look into every record of a source, and say what becomes of it. Ends with 1 where something stops the
    cutover. Writes nothing."""
    settings = Settings.load()
    source = source_of(named, settings, root=root, tenant_field=tenant_field)
    database = Database(settings.database_url, pool_size=1)
    with database.transaction(door="directory") as session:
        here = frozenset(tenants.every_tenant(session))

    def allowed(tenant: UUID) -> frozenset[str]:
        with database.transaction(tenant) as session:
            return frozenset(vaulting.allowed_paths(session))

    made = planning.plan(source, _meter(quiet), here=here, allowed=allowed, tenants=frozenset(only))
    show(planning.facts(made), planning.lines(made), as_json=as_json)
    if made.stops:
        raise PlanStops("Something stops the cutover: what, and what to do about it, stands above.")


@cutover.command()
@source_options
@click.option("--dry-run", is_flag=True, help="Write nothing; say what would be written.")
@click.option("--full", is_flag=True, help="Read everything, also where the source can say what has changed.")
@json_option
def sync(
    *, named: str, root: str | None, tenant_field: str, only: tuple[UUID, ...], quiet: bool, dry_run: bool, full: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Carry a source's records over into PostgreSQL: new, changed and deleted ones. Can be stopped and run again at any
    time. Ends with 1 where records had to be left out."""
    settings = Settings.load()
    source = source_of(named, settings, root=root, tenant_field=tenant_field)
    into = Target(owner_url(settings))
    try:
        done = Sync(source, into, _meter(quiet), dry_run=dry_run, full=full).run(frozenset(only))
    finally:
        into.close()
    show(_synced_facts(source, done), _synced_lines(done), as_json=as_json)
    left = sum(one.left_out for one in done.carried)
    if left:
        raise RecordsLeftOut(f"{left:,} records cannot be rows and were left out: `moorage cutover plan` says which.")


@cutover.command()
@source_options
@proof_options
@json_option
def verify(
    *, named: str, root: str | None, tenant_field: str, only: tuple[UUID, ...], quiet: bool, tolerate: tuple[str, ...],
    threshold: tuple[str, ...], folder: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Compare every record of a source with what is here, and judge: go or no-go. Ends with 1 where it is no-go."""
    settings = Settings.load()
    loosened = loosening(tolerate, threshold)
    source = source_of(named, settings, root=root, tenant_field=tenant_field)
    parity = verifying.verify(source, settings.database_url, _meter(quiet), loosened=loosened, tenants=frozenset(only))
    at = datetime.now(UTC)
    if folder is not None:
        report.write(parity, folder, at=at)
    show(report.facts(parity, at=at), [report.page(parity, at=at).rstrip()], as_json=as_json)
    if not parity.go:
        raise NoGo("No go: " + "; ".join(parity.reasons) + ".")


def _meter(quiet: bool) -> Meter:
    return Meter(None if quiet else sys.stderr)


def _synced_facts(source: Source, done: Synced) -> dict[str, Any]:
    return {
        "source": source.name,
        "dry_run": done.dry_run,
        "collections": [
            {
                "tenant_id": str(one.place.tenant), "collection": one.place.collection, "how": one.how,
                "read": one.read, "inserted": one.inserted, "updated": one.updated, "deleted": one.deleted,
                "left_out": one.left_out,
            }
            for one in done.carried
        ],
        "findings": planning.findings_facts(done.findings),
    }  # fmt: skip


def _synced_lines(done: Synced) -> list[str]:
    would = "would be " if done.dry_run else ""
    found = [
        f"{one.place} ({one.how}): {one.read:,} read, {would}{one.inserted:,} new, {one.updated:,} changed,"
        f" {one.deleted:,} deleted" + (f", {one.left_out:,} LEFT OUT" if one.left_out else "")
        for one in done.carried
    ]
    return [*found, *planning.finding_lines(done.findings)]


for _command in COMMANDS:
    cutover.add_command(_command)
