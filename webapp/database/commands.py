"""`moorage db`: the tables and the roles."""

from __future__ import annotations

import click

from webapp.database import migrations, roles
from webapp.database.heads import head
from webapp.printing import changed_word, json_option, show
from webapp.settings import Settings, SettingsError


@click.group()
def db() -> None:
    """Migrations and roles of the database."""


@db.command()
@json_option
def upgrade(as_json: bool) -> None:
    """Migrate the tables to this version's."""
    settings = Settings.load()
    changed = migrations.upgrade(migrations.owner_url(settings), application=settings.database_url.user)
    show({"changed": changed, "at": head()}, [f"{changed_word(changed)}: tables at {head()}"], as_json=as_json)


@db.command()
@json_option
def current(as_json: bool) -> None:
    """Say which migration the tables are at, and which one this version is written for."""
    at = migrations.current(migrations.owner_url(Settings.load()))
    facts = {"at": at, "head": head(), "at_head": at == head()}
    show(facts, [f"{at or 'nothing'} (this version wants {head()})"], as_json=as_json)


@db.command("roles")
@json_option
def roles_(as_json: bool) -> None:
    """Make the database and its roles, with the rights each needs (DATABASE_ADMIN_URL)."""
    settings = Settings.load()
    if settings.database_admin_url is None:
        raise SettingsError("DATABASE_ADMIN_URL is missing: only a superuser can make roles.")
    changed = roles.prepare(settings.database_admin_url, roles.Plan.of(settings))
    show({"changed": changed}, [changed_word(changed)], as_json=as_json)
