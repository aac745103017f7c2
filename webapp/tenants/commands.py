"""`moorage tenant`."""

from __future__ import annotations

from uuid import uuid4

import click

from webapp.db import Database
from webapp.printing import json_option, show
from webapp.settings import Settings
from webapp.tenants import service


@click.group()
def tenant() -> None:
    """Organisations."""


@tenant.command()
@click.argument("name")
@json_option
def create(name: str, as_json: bool) -> None:
    """Make a tenant and print its id."""
    database = Database(Settings.load().database_url, pool_size=1)
    tenant_id = uuid4()
    with database.transaction(tenant_id) as session:
        made = service.create_tenant(session, tenant_id=tenant_id, name=name)
        facts = {"id": str(made.id), "name": made.name}
    show(facts, [facts["id"]], as_json=as_json)
