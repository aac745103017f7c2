"""The `moorage` command: gathers each room's commands, and loads only the room that was asked for."""

from __future__ import annotations

import importlib
import sys
from typing import Any, ClassVar

import click

from webapp.failures import Failure
from webapp.redaction import redact_text


class CommandFailed(click.ClickException):
    """Printed on stderr as `CODE: words`; the process ends with 1."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(redact_text(words))
        self.code = code

    def show(self, file: Any = None) -> None:
        click.echo(f"{self.code}: {self.message}", file=file or sys.stderr)


class Rooms(click.Group):
    """Each command's name and the module that has it; a module is imported when its command is used or explained."""

    ROOMS: ClassVar[dict[str, str]] = {
        "db": "webapp.database.commands",
        "dev": "webapp.local.commands",
        "health": "webapp.health.commands",
        "serve": "webapp.serving.commands",
        "settings": "webapp.settings_commands",
        "setup": "webapp.database.setup_commands",
        "smoke": "webapp.smoke.commands",
        "store": "webapp.object_store.commands",
        "tenant": "webapp.tenants.commands",
        "up": "webapp.local.commands",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self.ROOMS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.ROOMS:
            return None
        command: click.Command = getattr(importlib.import_module(self.ROOMS[name]), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; what it raises becomes one line on stderr, and never a stack trace for a known failure."""
        try:
            return super().invoke(ctx)
        except Failure as failure:
            raise CommandFailed(failure.code, str(failure)) from failure
        except Exception as error:
            # By module name: importing the drivers only to name their errors would cost every command 30 MB.
            if type(error).__module__.partition(".")[0] in ("psycopg2", "psycopg", "sqlalchemy"):
                raise CommandFailed("DATABASE_ERROR", str(getattr(error, "orig", error)).strip()) from error
            raise


@click.group(cls=Rooms, context_settings={"help_option_names": ["-h", "--help"]})
def moorage() -> None:
    """Moorage's control plane: serve it, set it up, look after it."""


def main() -> None:
    moorage()
