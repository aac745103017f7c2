"""`moorage artifact`."""

from __future__ import annotations

import mimetypes
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from webapp.artifacts import publishing, service
from webapp.artifacts.models import STATUSES
from webapp.artifacts.schemas import RELEASES, AssignmentView, NewAssignment, NewRelease, ReleaseView
from webapp.audit.service import Actor
from webapp.db import Database
from webapp.options import tenant_option
from webapp.printing import json_option, show
from webapp.settings import Settings
from webapp.storage import ObjectStore
from webapp.tenants import service as tenants
from webapp.views import dumper

module_option = click.option("--module", required=True, help="What it is: the product's name for it.")
platform_option = click.option("--platform", required=True, help="What it runs on: windows, linux, …")
channel_option = click.option("--channel", default="stable", show_default=True)


class Pair(click.ParamType[tuple[str, str]]):
    """`name=value`."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, equals, text = str(value).partition("=")
        if not equals or not key.replace("-", "").isalnum() or not key.isascii() or not text.isascii():
            self.fail("NAME=VALUE of ASCII characters, a name of letters, digits and hyphens", param, ctx)
        return key.lower(), text


@click.group()
def artifact() -> None:
    """Artifacts: what runners fetch."""


@artifact.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@tenant_option
@module_option
@platform_option
@channel_option
@click.option("--version", required=True, help="As people are to read it.")
@click.option("--status", type=click.Choice(STATUSES), default="active", show_default=True)
@click.option("--content-type", help="Of the object. [default: by the file's name]")
@click.option("--metadata", type=Pair(), multiple=True, help="Kept with the object. May be repeated.")
@json_option
def publish(  # noqa: PLR0917 - one argument for each option
    file: Path,
    tenant: UUID,
    module: str,
    platform: str,
    channel: str,
    version: str,
    status: str,
    content_type: str | None,
    metadata: tuple[tuple[str, str], ...],
    as_json: bool,
) -> None:
    """Upload a file in parts, compare what arrived, make it a release, and print the release's id.

    What was cut off is taken up again by the same command.
    """
    settings = Settings.load()
    database, store = Database(settings.database_url, pool_size=1), ObjectStore.of(settings)
    with database.transaction(tenant) as session:
        tenants.require_tenant(session, tenant)
    content = publishing.content_of(file)
    key = publishing.key_of(str(tenant), content, module, platform, channel, version)
    # Before the upload: what is wrong with the release must not cost the time of one.
    given = NewRelease().load(
        {"module": module, "platform": platform, "channel": channel, "version": version, "status": status,
         "object_key": key, "sha256": content.sha256, "size_bytes": content.size}
    )  # fmt: skip
    kind = content_type or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    kept = dict(metadata)
    publishing.upload(store, file, content, key, content_type=kind, metadata=kept, say=partial(click.echo, err=True))
    with database.transaction(tenant) as session:
        made = service.create_release(session, Actor(tenant, "moorage artifact publish", "cli"), given)
        facts = {**dumper(ReleaseView)(made), "tenant_id": str(tenant)}
    show(facts, [str(facts["id"])], as_json=as_json)


@artifact.command("list")
@tenant_option
@click.option("--module", help="Of this module alone.")
@json_option
def list_(tenant: UUID, module: str | None, as_json: bool) -> None:
    """The newest 200 releases of a tenant."""
    asked = RELEASES().load({"limit": 200, **({"module": module} if module else {})})
    with Database(Settings.load().database_url, pool_size=1).transaction(tenant) as session:
        found = [dumper(ReleaseView)(item) for item in service.list_releases(session, asked).items]
    lines = (
        f"{one['id']:>6}  {one['status']:8}  {one['module']} {one['version']} ({one['platform']}, {one['channel']})"
        for one in found
    )
    show([{**one, "tenant_id": str(tenant)} for one in found], lines, as_json=as_json)


@artifact.command()
@tenant_option
@module_option
@platform_option
@channel_option
@click.option("--release", "release_id", type=int, required=True, help="The release's id.")
@click.option("--user", "user_id", help="For this user alone; without it, for everybody who has none of their own.")
@json_option
def assign(  # noqa: PLR0917 - one argument for each option
    tenant: UUID, module: str, platform: str, channel: str, release_id: int, user_id: str | None, as_json: bool
) -> None:
    """Assign a release, in place of what was assigned before."""
    scope = {"module": module, "platform": platform, "channel": channel, "release_id": release_id}
    given = NewAssignment().load({**scope, **({"user_id": user_id} if user_id else {})})
    with Database(Settings.load().database_url, pool_size=1).transaction(tenant) as session:
        made = service.assign(session, Actor(tenant, "moorage artifact assign", "cli"), given)
        facts = {**dumper(AssignmentView)(made), "tenant_id": str(tenant)}
    who = facts["user_id"] or "everybody"
    show(facts, [f"release {release_id} is what {who} gets of {module} ({platform}, {channel})"], as_json=as_json)
