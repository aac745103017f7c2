"""`moorage store`."""

from __future__ import annotations

from dataclasses import asdict

import click

from webapp.errors import StorageError
from webapp.object_store import service
from webapp.printing import json_option, show
from webapp.settings import Settings


@click.group()
def store() -> None:
    """The object store: its bucket, user and policy."""


@store.command()
@json_option
def prepare(as_json: bool) -> None:
    """Make the private bucket, the restricted user and its policy (S3_ADMIN_KIND says how)."""
    changed = service.prepare(Settings.load())
    show({"changed": changed}, ["changed" if changed else "unchanged"], as_json=as_json)


@store.command()
@json_option
def check(as_json: bool) -> None:
    """Put, read and delete an object with this process's key, and make sure that a stranger may not."""
    seen = service.check(Settings.load())
    lines = (f"{'ok' if item.ok else 'FAILED':6} {item.what} {item.detail}".rstrip() for item in seen)
    show([asdict(item) for item in seen], lines, as_json=as_json)
    wrong = [item.what for item in seen if not item.ok]
    if wrong:
        raise StorageError("The store did not pass: " + ", ".join(wrong))
