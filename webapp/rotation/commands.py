"""`moorage rotate`: what a rotation of secrets wants of the control plane. Only the setup job has the rights for it."""

from __future__ import annotations

import click

from webapp.database import roles
from webapp.object_store import service as object_store
from webapp.printing import changed_word, json_option, show
from webapp.rotation import sealed_again
from webapp.settings import Settings, SettingsError
from webapp.variables import DatabaseUrl


@click.group()
def rotate() -> None:
    """Secrets that take the place of others (playbooks/rotate_secrets.yml runs these)."""


@rotate.command()
@json_option
def accept(as_json: bool) -> None:
    """Let in whoever has the secrets that this process was given; those of before still work."""
    settings = Settings.load()
    steps = {
        "roles": roles.prepare(_admin(settings), roles.Plan.of(settings)),
        "store": object_store.prepare(settings),
    }
    _say(steps, as_json)


@rotate.command()
@json_option
def reseal(as_json: bool) -> None:
    """Seal second factors with SESSION_SECRET that are sealed with the one before."""
    settings = Settings.load()
    _say({"second factors": sealed_again.all_users(_database(settings), settings.session_keys) > 0}, as_json)


@rotate.command()
@json_option
def retire(as_json: bool) -> None:
    """Let nobody in any more who has the database login or the store's key of before."""
    settings = Settings.load()
    steps = {
        "roles": roles.retire(_admin(settings), roles.Plan.of(settings)),
        "store": object_store.retire(settings),
    }
    _say(steps, as_json)


def _admin(settings: Settings) -> DatabaseUrl:
    if settings.database_admin_url is None:
        raise SettingsError("DATABASE_ADMIN_URL is missing: only a superuser changes who gets in.")
    return settings.database_admin_url


def _database(settings: Settings) -> str:
    return _admin(settings).render(database=settings.database_url.name)


def _say(steps: dict[str, bool], as_json: bool) -> None:
    lines = (f"{name}: {changed_word(changed)}" for name, changed in steps.items())
    show({"changed": any(steps.values()), "steps": steps}, lines, as_json=as_json)
