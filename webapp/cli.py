"""The `moorage` command: gathers each room's commands, and loads only the room that was asked for."""

from __future__ import annotations

import importlib
import sys
import traceback
from types import TracebackType
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


class Misused(click.UsageError):
    """Printed as click does, but with a code; the process ends with 2."""

    def __init__(self, error: click.UsageError) -> None:
        super().__init__(redact_text(error.format_message()), error.ctx)

    def show(self, file: Any = None) -> None:
        if self.ctx is not None:
            click.echo(f"{self.ctx.get_usage()}\nTry '{self.ctx.command_path} -h' for help.\n", file=file or sys.stderr)
        click.echo(f"USAGE_ERROR: {self.message}", file=file or sys.stderr)


class Rooms(click.Group):
    """Each command's name and the module that has it; a module is imported when its command is used or explained."""

    ROOMS: ClassVar[dict[str, str]] = {
        "artifact": "webapp.artifacts.commands",
        "audit": "webapp.audit.commands",
        "cutover": "webapp.cutover.commands",
        "db": "webapp.database.commands",
        "dev": "webapp.local.commands",
        "entitlement": "webapp.licensing.commands",
        "health": "webapp.health.commands",
        "key": "webapp.auth.key_commands",
        "license": "webapp.licensing.commands",
        "rotate": "webapp.rotation.commands",
        "secret": "webapp.vaulting.commands",
        "serve": "webapp.serving.commands",
        "settings": "webapp.settings_commands",
        "setup": "webapp.database.setup_commands",
        "smoke": "webapp.smoke.commands",
        "store": "webapp.object_store.commands",
        "tenant": "webapp.tenants.commands",
        "token": "webapp.auth.commands",
        "up": "webapp.local.commands",
        "user": "webapp.auth.commands",
    }

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise Misused(error) from error

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
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise Misused(error) from error
        except Failure as failure:
            raise CommandFailed(failure.code, str(failure)) from failure
        except Exception as error:
            if type(error).__module__.partition(".")[0] == "marshmallow":
                raise CommandFailed("VALIDATION_ERROR", _named(error)) from error
            # By module name: importing the drivers only to name their errors would cost every command 30 MB.
            if type(error).__module__.partition(".")[0] in ("psycopg2", "psycopg", "sqlalchemy"):
                raise CommandFailed("DATABASE_ERROR", str(getattr(error, "orig", error)).strip()) from error
            raise


def _named(error: Exception) -> str:
    """Each field that a schema refuses, and why."""
    refused: dict[str, Any] = getattr(error, "messages", {})
    return "; ".join(f"{name}: {' '.join(map(str, words))}" for name, words in refused.items())


@click.group(cls=Rooms, context_settings={"help_option_names": ["-h", "--help"]})
def moorage() -> None:
    """Moorage's control plane: serve it, set it up, look after it."""


def main() -> None:
    sys.excepthook = _uncaught
    moorage()


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A fault of ours, as Python prints it, but for what is secret in an error's words."""
    sys.stderr.write(redact_text("".join(traceback.format_exception(kind, error, trace))))
