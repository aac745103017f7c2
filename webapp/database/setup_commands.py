"""`moorage setup`: everything that must be there before a process can serve."""

from __future__ import annotations

from collections.abc import Callable

import click

from webapp.database import migrations, roles
from webapp.db import Database
from webapp.object_store import service as object_store
from webapp.printing import changed_word, json_option, show
from webapp.records.service import steering
from webapp.settings import Settings


@click.command()
@json_option
def setup(as_json: bool) -> None:
    """Make roles, tables and bucket. Can run again at any time; says for each step whether it changed anything."""
    settings = Settings.load()
    results = {name: step(settings) for name, step in STEPS.items()}
    facts = {"changed": "changed" in results.values(), "steps": results}
    show(facts, (f"{name}: {result}" for name, result in results.items()), as_json=as_json)


def _roles(settings: Settings) -> str:
    if settings.database_admin_url is None:
        return "skipped"  # roles are as they were given: this process could not make them
    return changed_word(roles.prepare(settings.database_admin_url, roles.Plan.of(settings)))


def _migrations(settings: Settings) -> str:
    application = roles.role_of(settings.database_url.user)
    return migrations.upgrade(migrations.owner_url(settings), application=application).words


def _store(settings: Settings) -> str:
    return changed_word(object_store.prepare(settings))


def _records(settings: Settings) -> str:
    owner = Database(migrations.owner_url(settings), pool_size=1)
    try:
        with owner.transaction() as session:
            return changed_word(steering.settle(session, settings.data_backend, reaches=settings.rtdb_url is not None))
    finally:
        owner.engine.dispose()


STEPS: dict[str, Callable[[Settings], str]] = {
    "roles": _roles, "migrations": _migrations, "records": _records, "store": _store,
}  # fmt: skip
