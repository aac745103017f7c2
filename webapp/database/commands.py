"""`moorage db`: the tables and the roles."""

# Alembic and SQLAlchemy are loaded by the commands that need them: a deploy asks an image for its `schema` first.
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import click

from webapp.database.heads import chain, head
from webapp.printing import changed_word, json_option, show


@click.group()
def db() -> None:
    """Migrations and roles of the database."""


@db.command()
@json_option
def schema(as_json: bool) -> None:
    """Print this version's migrations, and the oldest version each still works with. Needs no database."""
    line = chain()
    facts = {"head": head(), "revisions": [{"id": one.id, "works_with": one.works_with} for one in line]}
    lines = (f"{one.id}  works with {one.works_with} and newer" for one in line)
    show(facts, lines, as_json=as_json)


@db.command()
@json_option
def upgrade(as_json: bool) -> None:
    """Migrate the tables to this version's, unless a newer version has been there."""
    from webapp.database import migrations, roles
    from webapp.settings import Settings

    settings = Settings.load()
    done = migrations.upgrade(migrations.owner_url(settings), application=roles.role_of(settings.database_url.user))
    facts = {"changed": done.changed, "at": done.at, "head": head(), "ahead": done.ahead}
    show(facts, [done.words if done.ahead else f"{done.words}: tables at {done.at}"], as_json=as_json)


@db.command()
@json_option
def current(as_json: bool) -> None:
    """Say which migration the tables are at, which one this version is written for, and whether it works with them."""
    from webapp.database import migrations
    from webapp.database.compatibility import mismatch
    from webapp.settings import Settings

    tables = migrations.current(migrations.owner_url(Settings.load()))
    reason = mismatch(tables, head=head(), known=migrations.known())
    facts = {
        "at": tables.at,
        "works_with": list(tables.works_with),
        "head": head(),
        "at_head": tables.at == head(),
        "works": reason is None,
    }
    show(facts, [reason or f"{tables.at} (this version wants {head()})"], as_json=as_json)


@db.command("roles")
@json_option
def roles_(as_json: bool) -> None:
    """Make the database and its roles, with the rights each needs (DATABASE_ADMIN_URL)."""
    from webapp.database import roles
    from webapp.settings import Settings, SettingsError

    settings = Settings.load()
    if settings.database_admin_url is None:
        raise SettingsError("DATABASE_ADMIN_URL is missing: only a superuser can make roles.")
    changed = roles.prepare(settings.database_admin_url, roles.Plan.of(settings))
    show({"changed": changed}, [changed_word(changed)], as_json=as_json)
