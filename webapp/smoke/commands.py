"""`moorage smoke`: is what was just started able to do its work?"""

from __future__ import annotations

from dataclasses import asdict

import click

from webapp.failures import Failure
from webapp.printing import json_option, show
from webapp.settings import Settings
from webapp.smoke import service


class SmokeFailed(Failure):
    code = "SMOKE_FAILED"


@click.group()
def smoke() -> None:
    """Try a release from inside, before it is believed."""


@smoke.command()
@json_option
def stack(as_json: bool) -> None:
    """A query as the application's role, the tables' revision, and an object put, read, refused to a stranger and
    deleted. A line each; ends with 1 where one failed."""
    seen = service.stack(Settings.load())
    lines = (f"{'ok' if item.ok else 'FAILED':6} {item.what} {item.detail}".rstrip() for item in seen)
    show([asdict(item) for item in seen], lines, as_json=as_json)
    wrong = [f"{item.what} ({item.detail})" if item.detail else item.what for item in seen if not item.ok]
    if wrong:
        raise SmokeFailed("This release cannot do its work: " + "; ".join(wrong))
