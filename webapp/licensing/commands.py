"""`moorage license` and `moorage entitlement`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from uuid import UUID

import click
from marshmallow import ValidationError

from webapp.audit.service import Actor
from webapp.db import Database
from webapp.fields import Moment
from webapp.licensing import service
from webapp.licensing.models import TYPES_OF_LICENSE
from webapp.licensing.schemas import ENTITLEMENTS, LICENSES, EntitlementView, LicenseView
from webapp.options import tenant_option
from webapp.printing import json_option, show
from webapp.settings import Settings
from webapp.tenants import service as tenants
from webapp.views import dumper


class Rfc3339(click.ParamType[datetime]):
    """A moment, as the API takes it."""

    name = "RFC3339"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return cast(datetime, Moment().deserialize(value))
        except ValidationError as error:
            self.fail(" ".join(map(str, error.messages)), param, ctx)


def _database() -> Database:
    return Database(Settings.load().database_url, pool_size=1)


@click.group("license")
def license() -> None:  # noqa: A001 - the command's name
    """Licences: what a tenant, or one user of it, has paid for."""


@license.command()
@tenant_option
@click.option("--user", "user_id", help="For this user alone; without it, for the whole tenant.")
@click.option("--type", "kind", type=click.Choice(TYPES_OF_LICENSE), required=True)
@click.option("--until", type=Rfc3339(), help="The end of a subscription, 2027-01-01T00:00:00Z.")
@json_option
def grant(tenant: UUID, user_id: str | None, kind: str, until: datetime | None, as_json: bool) -> None:
    """Grant a licence and print its id."""
    if (kind == "subscription") != (until is not None):
        raise click.UsageError("--until belongs to --type subscription, which needs it.")
    with _database().transaction(tenant) as session:
        tenants.require_tenant(session, tenant)
        given = {"user_id": user_id, "type": kind, "ends_at": until}
        made = service.grant_license(session, Actor(tenant, "moorage license grant", "cli"), given)
        session.refresh(made)
        facts = dumper(LicenseView)(made)
    show({**facts, "tenant_id": str(tenant)}, [facts["id"]], as_json=as_json)


@license.command("list")
@tenant_option
@json_option
def list_licenses(tenant: UUID, as_json: bool) -> None:
    """The newest 200 licences of a tenant."""
    with _database().transaction(tenant) as session:
        page = service.list_licenses(session, LICENSES().load({"limit": 200}))
        found = [dumper(LicenseView)(item) for item in page.items]
    lines = (
        f"{one['id']}  {one['type']:12} {one['status']:9} {one.get('ends_at', '-'):24}  {one.get('user_id', 'all')}"
        for one in found
    )
    show([{**one, "tenant_id": str(tenant)} for one in found], lines, as_json=as_json)


@click.group()
def entitlement() -> None:
    """Entitlements: which modules a user may use."""


@entitlement.command("set")
@tenant_option
@click.option("--user", "user_id", required=True, help="The user's id.")
@click.option("--module", "modules", multiple=True, required=True, help="A module; `*` for all. May be repeated.")
@json_option
def set_(tenant: UUID, user_id: str, modules: tuple[str, ...], as_json: bool) -> None:
    """Entitle a user to modules, beside those there are."""
    with _database().transaction(tenant) as session:
        tenants.require_tenant(session, tenant)
        by = Actor(tenant, "moorage entitlement set", "cli")
        found = [dumper(EntitlementView)(service.entitle(session, by, user_id, module)) for module in modules]
    lines = (f"{one['user_id']}  {one['module']}" for one in found)
    show([{**one, "tenant_id": str(tenant)} for one in found], lines, as_json=as_json)


@entitlement.command("list")
@tenant_option
@click.option("--user", "user_id", help="Of this user alone.")
@json_option
def list_entitlements(tenant: UUID, user_id: str | None, as_json: bool) -> None:
    """The newest 200 entitlements of a tenant."""
    asked = {"limit": 200, **({"user_id": user_id} if user_id else {})}
    with _database().transaction(tenant) as session:
        page = service.list_entitlements(session, ENTITLEMENTS().load(asked))
        found = [dumper(EntitlementView)(item) for item in page.items]
    lines = (f"{one['user_id']}  {one['module']}" for one in found)
    show([{**one, "tenant_id": str(tenant)} for one in found], lines, as_json=as_json)
