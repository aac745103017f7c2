"""`moorage key`: API keys from the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import click
from sqlalchemy.orm import Session

from webapp.audit.service import Actor
from webapp.auth import keys
from webapp.auth.key_schemas import KEYS, KeyView, NewKey
from webapp.caller import SCOPES
from webapp.db import Database
from webapp.options import tenant_option
from webapp.printing import json_option, show
from webapp.settings import Settings
from webapp.tenants import service as tenants
from webapp.views import dumper


@click.group()
def key() -> None:
    """API keys, for programs."""


@contextmanager
def _opened(tenant: UUID) -> Iterator[Session]:
    with Database(Settings.load().database_url, pool_size=1).transaction(tenant) as session:
        tenants.require_tenant(session, tenant)
        yield session


def _by(tenant: UUID, name: str) -> Actor:
    return Actor(tenant, f"moorage key {name}", "cli")


def _facts(made: keys.Shown) -> dict[str, Any]:
    return {**dumper(KeyView)(made.key), "token": made.token.reveal()}


@key.command()
@tenant_option
@click.option("--name", required=True, help="What it is for.")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="Repeatable.")
@click.option("--until", metavar="RFC3339", help="When it expires; without it, never.")
@json_option
def create(tenant: UUID, name: str, scopes: tuple[str, ...], until: str | None, as_json: bool) -> None:
    """Make a key and print its token, which nobody can show again."""
    given = NewKey().load({"name": name, "scopes": list(scopes), **({"expires_at": until} if until else {})})
    with _opened(tenant) as session:
        facts = _facts(keys.create(session, _by(tenant, "create"), given))
    show(facts, [facts["token"]], as_json=as_json)


@key.command(name="list")
@tenant_option
@json_option
def listed(tenant: UUID, as_json: bool) -> None:
    """The tenant's keys, the newest first."""
    with _opened(tenant) as session:
        facts = [dumper(KeyView)(one) for one in keys.listed(session, KEYS().load({"limit": 200})).items]
    lines = [f"{one['id']}  {one['uses']:>8}  {_state(one)}  {one['name']}" for one in facts]
    show(facts, lines, as_json=as_json)


def _state(one: dict[str, Any]) -> str:
    if "revoked_at" in one:
        return "revoked"
    over = "expires_at" in one and datetime.fromisoformat(one["expires_at"]) < datetime.now().astimezone()
    return "expired" if over else "in force"


@key.command()
@tenant_option
@click.option("--grace", type=click.IntRange(0, keys.LONGEST_GRACE_SECONDS), default=keys.GRACE_SECONDS,
              show_default=True, help="Seconds that the token before works on.")  # fmt: skip
@click.argument("key_id")
@json_option
def rotate(tenant: UUID, key_id: str, grace: int, as_json: bool) -> None:
    """Give a key a new token and print it."""
    with _opened(tenant) as session:
        facts = _facts(keys.rotate(session, _by(tenant, "rotate"), key_id, grace_seconds=grace))
    show(facts, [facts["token"]], as_json=as_json)


@key.command()
@tenant_option
@click.argument("key_id")
@json_option
def revoke(tenant: UUID, key_id: str, as_json: bool) -> None:
    """End a key at once."""
    with _opened(tenant) as session:
        facts = dumper(KeyView)(keys.revoke(session, _by(tenant, "revoke"), key_id))
    show(facts, [f"{facts['id']} is revoked."], as_json=as_json)
