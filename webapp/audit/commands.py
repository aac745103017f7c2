"""`moorage audit`."""

from __future__ import annotations

from uuid import UUID

import click

from webapp.audit import chain
from webapp.db import Database
from webapp.failures import Failure
from webapp.printing import json_option, show
from webapp.settings import Settings
from webapp.tenants import service as tenants


class ChainBroken(Failure):
    code = "AUDIT_CHAIN_BROKEN"


@click.group()
def audit() -> None:
    """The audit log."""


@audit.command()
@click.option("--tenant", type=click.UUID, help="Of this tenant alone; without it, of every one.")
@json_option
def verify(tenant: UUID | None, as_json: bool) -> None:
    """Seal what is not sealed yet, compute every chain anew, and say where one does not fit. Ends with 1 there."""
    database = Database(Settings.load().database_url, pool_size=1)
    if tenant is None:
        with database.transaction(door="directory") as session:
            found = tenants.every_tenant(session)
    else:
        with database.transaction(tenant) as session:
            found = [tenants.require_tenant(session, tenant).id]
    verdicts = [_verified(database, one) for one in found]
    facts = [{"tenant": str(one.tenant), "sealed": one.sealed, "wrong": one.wrong} for one in verdicts]
    lines = (
        f"{'FAILED' if one.wrong else 'ok':6} {one.tenant} {one.wrong or f'{one.sealed} events'}" for one in verdicts
    )
    show(facts, lines, as_json=as_json)
    broken = [one for one in verdicts if one.wrong]
    if broken:
        raise ChainBroken(
            f"{len(broken)} of {len(verdicts)} chains do not fit. Somebody changed audit events past this product: keep"
            " the database as it is, and compare with the heads in the worker's log and with a backup."
        )


def _verified(database: Database, tenant: UUID) -> chain.Verdict:
    with database.transaction(tenant) as session:
        while chain.seal(session, tenant):
            pass
    with database.transaction(tenant) as session:
        return chain.verify(session, tenant)
