"""How commands print data: for people, or with --json for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Adds `--json`, passed on as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)


def show(data: Any, lines: Iterable[str], *, as_json: bool) -> None:
    """One JSON document, or the lines."""
    if as_json:
        click.echo(json.dumps(data))
    else:
        for line in lines:
            click.echo(line)


def changed_word(changed: bool) -> str:
    """What a command that brings something to a state says it did."""
    return "changed" if changed else "unchanged"
