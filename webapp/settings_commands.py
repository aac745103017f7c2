"""`moorage settings`: what the environment may hold."""

from __future__ import annotations

import click

from webapp.example import env_example
from webapp.settings import Settings


@click.group()
def settings() -> None:
    """The variables that this program reads."""


@settings.command()
def example() -> None:
    """Print env.example: every variable with its meaning, default, and where its secret is kept."""
    click.echo(env_example(), nl=False)


@settings.command()
def check() -> None:
    """Say whether the environment is as it should be, naming every variable that is not."""
    Settings.load()
    click.echo("ok")
