"""`moorage smoke`: is what was just started able to do its work?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TextIO

import click

from webapp.failures import Failure
from webapp.printing import json_option, show
from webapp.redaction import Secret
from webapp.settings import Settings
from webapp.smoke import artifacts as trials
from webapp.smoke import service
from webapp.smoke.plane import Plane


class SmokeFailed(Failure):
    code = "SMOKE_FAILED"


@click.group()
def smoke() -> None:
    """Try what was started, before it is believed."""


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


@smoke.command()
@click.option("--server", required=True, help="The control plane's address, https://moorage.example.org.")
@click.option("--release", "release_id", type=int, required=True, help="The id of a published release of the tenant.")
@click.option("--token", help="An admin's bearer; `ps` shows it to everybody on this machine.")
@click.option("--token-file", type=click.File(), help="A file that holds it instead; - is standard input.")
@click.option("--other-token-file", type=click.File(), help="A file that holds a bearer of another tenant.")
@click.option(
    "--max-wait",
    type=click.FloatRange(0),
    default=trials.LONGEST_WAIT_SECONDS,
    show_default=True,
    help="Seconds that the end of a lease and of a URL may take; 0 leaves both out.",
)
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False), help="Certificates to trust instead.")
@json_option
def artifacts(  # noqa: PLR0917 - one argument for each option
    server: str,
    release_id: int,
    token: str | None,
    token_file: TextIO | None,
    other_token_file: TextIO | None,
    max_wait: float,
    ca_file: str | None,
    as_json: bool,
) -> None:
    """The whole way of a download, and everything that must stop one, against any server, over HTTP alone.

    A line each; ends with 1 where one was not as it should be. What it makes in the token's tenant has names of its own
    (smoke-…) and is out of force when it ends.
    """
    bearer = (token_file.read() if token_file else token or "").strip()
    if not bearer:
        raise click.UsageError("Give --token-file or --token: the bearer of an admin.")
    stranger = Secret(other_token_file.read().strip()) if other_token_file else None
    tried = []
    plane = Plane(server, Secret(bearer), ca_file=ca_file)
    for item in trials.trial(plane, release_id, stranger=stranger, longest_wait=max_wait):
        tried.append(item)
        if not as_json:
            click.echo(f"{item.outcome:9} {item.what}{': ' + item.detail if item.detail else ''}")
    if as_json:
        show([asdict(item) for item in tried], [], as_json=True)
    wrong = [f"{item.what} ({item.detail})" for item in tried if item.outcome == "FAILED"]
    if wrong:
        raise SmokeFailed("Not as it should be: " + "; ".join(wrong))
