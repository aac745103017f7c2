"""`moorage token` and `moorage user`."""

from __future__ import annotations

import sys
from datetime import timedelta
from uuid import UUID

import click

from webapp.audit.service import Actor
from webapp.auth import service, users
from webapp.caller import ROLES
from webapp.db import Database
from webapp.options import tenant_option
from webapp.printing import json_option, show
from webapp.responses import rfc3339
from webapp.settings import Settings
from webapp.tenants import service as tenants
from webapp.tenants.service import members

DAY_SECONDS = 86_400


@click.group()
def token() -> None:
    """Bearer tokens."""


@token.command()
@tenant_option
@click.option("--user", "user_id", required=True, help="The user's id, as it is to stand in records.")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--ttl", type=click.IntRange(min=1), default=DAY_SECONDS, show_default=True, help="Seconds it lives.")
@json_option
def issue(tenant: UUID, user_id: str, role: str, ttl: int, as_json: bool) -> None:
    """Print one bearer token. It can be revoked like a log-in: `DELETE /api/v1/auth/sessions/{id}`."""
    settings = Settings.load()
    with Database(settings.database_url, pool_size=1).transaction(tenant) as session:
        made = service.issue_token(
            session, settings.session_secret, tenant=tenant, user_id=user_id, role=role, lives=timedelta(seconds=ttl)
        )
    facts = {"token": made.token.reveal(), "session_id": str(made.session_id), "expires_at": rfc3339(made.expires_at)}
    show(facts, [facts["token"]], as_json=as_json)


@click.group()
def user() -> None:
    """People who log in with a password."""


@user.command()
@click.option("--tenant", type=click.UUID, required=True, help="The tenant that they become a member of.")
@click.option("--email", required=True, help="What they log in with; taken as verified.")
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--name", help="As people read it.")
@json_option
def create(tenant: UUID, email: str, role: str, name: str | None, as_json: bool) -> None:
    """Make a user who may log in, and print the user's id. The password is asked for, or read from standard input."""
    if sys.stdin.isatty():
        password = click.prompt("Password (not shown)", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.read().removesuffix("\n")
    with Database(Settings.load().database_url, pool_size=1).transaction(tenant) as session:
        tenants.require_tenant(session, tenant)
        made = users.create(session, email=email, password=password, name=name, verified=True)
        by = Actor(tenant, "moorage user create", "cli")
        members.add(session, by, user_id=made.id, role=role, email=made.email)
        facts = {"id": made.id, "email": made.email, "role": role, "tenant_id": str(tenant)}
    show(facts, [facts["id"]], as_json=as_json)
