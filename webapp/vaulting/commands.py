"""`moorage secret`."""

from __future__ import annotations

import json
import sys
from typing import TextIO
from uuid import UUID

import click

from webapp.audit.service import Actor
from webapp.db import Database
from webapp.options import tenant_option
from webapp.printing import json_option, show
from webapp.settings import Settings
from webapp.vaulting import sealing, service
from webapp.vaulting.models import SCOPES
from webapp.vaulting.schemas import SECRETS, BindingView, SecretMeta
from webapp.views import dumper


@click.group()
def secret() -> None:
    """Secrets that this server keeps and cannot read."""


@secret.command()
@click.option("--label", required=True, help="What people call it.")
@click.option("--agent", help="The agent that is to open it; its key is fetched from --server.")
@click.option("--server", help="The control plane's address.")
@click.option("--token", help="A bearer token; `ps` shows it to everybody on this machine.")
@click.option("--token-file", type=click.File(), help="A file that holds it instead.")
@click.option("--public-key", help="The key itself (base64), where there is no server to ask.")
@click.option("--key-id", help="Its id. [default: made of the key, as agents do]")
def seal(  # noqa: PLR0917 - one argument for each option
    label: str,
    agent: str | None,
    server: str | None,
    token: str | None,
    token_file: TextIO | None,
    public_key: str | None,
    key_id: str | None,
) -> None:
    """Seal what is typed, or comes on standard input, for an agent; print the body of POST /api/v1/secrets.

    The plaintext leaves this process nowhere. A line feed at its end is taken off.
    """
    if token_file:
        token = token_file.read().strip()
    if public_key:
        key = sealing.key_of(public_key, key_id)
    elif agent and server and token:
        key = sealing.fetched(server, token, agent)
    else:
        raise click.UsageError("Give --public-key, or --agent with --server and --token or --token-file.")
    if sys.stdin.isatty():
        plaintext = click.prompt("Secret (not shown)", hide_input=True).encode()
    else:
        plaintext = sys.stdin.buffer.read().removesuffix(b"\n")
    if not plaintext:
        raise click.UsageError("Nothing was given to seal.")
    click.echo(json.dumps(sealing.seal(key, plaintext, label)))


@secret.command("list")
@tenant_option
@json_option
def list_(tenant: UUID, as_json: bool) -> None:
    """What is known of the newest 200 secrets of a tenant."""
    with Database(Settings.load().database_url, pool_size=1).transaction(tenant) as session:
        page = service.secrets(session, SECRETS().load({"limit": 200}))
        found = [dumper(SecretMeta)(item) for item in page.items]
    lines = (f"{one['id']}  version {one['version']:<4} {one['key_id']}  {one['label']}" for one in found)
    show([{**one, "tenant_id": str(tenant)} for one in found], lines, as_json=as_json)


@secret.command()
@tenant_option
@click.option("--secret", "secret_ref", required=True, help="The secret's id.")
@click.option("--scope", type=click.Choice(SCOPES), required=True, help="Where it is meant to be used.")
@click.option("--scope-id", required=True, help="Which agent, machine, bot or tenant.")
@click.option("--field", "field_name", required=True, help="What it is there: api_key, token_secret, …")
@json_option
def bind(  # noqa: PLR0917 - one argument for each option
    tenant: UUID, secret_ref: str, scope: str, scope_id: str, field_name: str, as_json: bool
) -> None:
    """Bind a secret to a field of a scope, and print the binding's id."""
    given = {"secret_ref": secret_ref, "scope_type": scope, "scope_id": scope_id, "field_name": field_name}
    with Database(Settings.load().database_url, pool_size=1).transaction(tenant) as session:
        facts = dumper(BindingView)(service.bind(session, Actor(tenant, "moorage secret bind", "cli"), given))
    show({**facts, "tenant_id": str(tenant)}, [facts["id"]], as_json=as_json)
