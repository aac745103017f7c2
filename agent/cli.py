"""The commands `moorage-agent` and `moorage-runner`: options in, plain words or JSON out, failures as `CODE: words`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import orjson

from agent import VERSION
from agent.failures import Failure
from agent.redaction import redact_text


class CommandFailed(click.ClickException):
    """Printed on stderr as `CODE: words`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(redact_text(failure.words))
        self.failure = failure
        self.exit_code = failure.exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: Any = None) -> None:
        click.echo(f"{self.failure.code}: {self.message}", file=file or sys.stderr)


class Misused(click.UsageError):
    """Printed as click does, but with a code; the process ends with 2."""

    def __init__(self, error: click.UsageError) -> None:
        super().__init__(redact_text(error.format_message()), error.ctx)

    def show(self, file: Any = None) -> None:
        if self.ctx is not None:
            click.echo(f"{self.ctx.get_usage()}\nTry '{self.ctx.command_path} -h' for help.\n", file=file or sys.stderr)
        click.echo(f"USAGE_ERROR: {self.message}", file=file or sys.stderr)


class Commands(click.Group):
    """What a command raises becomes one line on stderr, and never a stack trace for a known failure."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise Misused(error) from error
        except Failure as failure:
            raise CommandFailed(failure) from failure


SETTINGS = {"help_option_names": ["-h", "--help"]}
as_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable answer on stdout.")
state_dir = click.option(
    "--state-dir", type=click.Path(path_type=Path, file_okay=False), envvar="MOORAGE_AGENT_STATE_DIR",
    help="Where the agent keeps its identity and journal. [default: /var/lib/moorage-agent for root]",
)  # fmt: skip
ca_file = click.option(
    "--ca-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), envvar="MOORAGE_CA_FILE",
    help="PEM file of the authority that signed the server's certificate. [default: the system's]",
)  # fmt: skip


def say(value: dict[str, Any], machine: bool, words: Callable[[dict[str, Any]], str]) -> None:
    click.echo(orjson.dumps(value).decode() if machine else words(value))


def folder_of(given: Path | None) -> Path:
    from agent.identity import default_folder  # noqa: PLC0415 - only the command that is used loads its libraries

    return given or default_folder()


@click.group(cls=Commands, context_settings=SETTINGS)
@click.version_option(VERSION, prog_name="moorage-agent")
def agent() -> None:
    """Runs what the control plane asks of this machine: Proxmox and Syncthing, over one outgoing connection."""


@agent.command()
@click.option("--server", required=True, help="The control plane's address, https://…")
@click.option("--code", required=True, envvar="MOORAGE_PAIRING_CODE", help="The pairing code; works once.")
@click.option("--key-store", type=click.Choice(["auto", "keyring", "file"]), default="auto", show_default=True)
@click.option("--replace", is_flag=True, help="Forget the pairing that is there.")
@state_dir
@ca_file
@as_json
def pair(  # noqa: PLR0917 - one argument for each option
    server: str, code: str, key_store: str, replace: bool, state_dir: Path | None, ca_file: Path | None, as_json: bool
) -> None:
    """Pairs this machine, with a key that is made here and stays here."""
    from agent.executors.registry import capabilities  # noqa: PLC0415 - as above
    from agent.pace import Pace  # noqa: PLC0415 - as above
    from agent.pairing import pair as pair_machine  # noqa: PLC0415 - as above
    from agent.wire import Tls  # noqa: PLC0415 - as above

    identity = pair_machine(
        folder_of(state_dir), server, code, key_store=key_store, tls=Tls(ca_file), capabilities=capabilities(),
        replace=replace, pace=Pace(),
    )  # fmt: skip
    found = {"agent_id": identity.agent_id, "name": identity.name, "server": identity.server, "key_id": identity.key_id,
             "public_key": identity.public_key, "key_store": identity.key_store}  # fmt: skip
    say(found, as_json, lambda one: f"Paired with {one['server']} as {one['agent_id']}; its key is {one['key_id']},"
        f" kept in: {one['key_store']}. Start it with `moorage-agent run`.")  # fmt: skip


@agent.command()
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), envvar="MOORAGE_AGENT_CONFIG",
              help="What it may reach here. [default: agent.toml in the state folder, if there]")  # fmt: skip
@click.option("--transport", type=click.Choice(["auto", "socket", "poll"]), default="auto", show_default=True)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info")
@state_dir
@as_json
def run(config: Path | None, transport: str, log_level: str, state_dir: Path | None, as_json: bool) -> None:
    """Stays connected and runs commands until it is stopped. Logs are JSON on stderr in any case."""
    from agent import logs, running  # noqa: PLC0415 - as above

    logs.configure(log_level)
    folder = folder_of(state_dir)
    if config is not None and not config.exists():
        raise Failure("CONFIG", f"{config} does not exist.")
    try:
        code = running.run(folder, config or folder / "agent.toml", transport)
    except Failure as failure:
        CommandFailed(failure).show()
        code = failure.exit_code
    running.end(code)


@agent.command()
@state_dir
@as_json
def status(state_dir: Path | None, as_json: bool) -> None:
    """Whether this machine is paired, whether an agent runs, and what waits to be told. Asks nothing of the server."""
    from agent.reporting import in_words, state_of  # noqa: PLC0415 - as above

    say(state_of(folder_of(state_dir)), as_json, in_words)


@agent.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@state_dir
@as_json
def unpair(yes: bool, state_dir: Path | None, as_json: bool) -> None:
    """Forgets this machine's key, token and journal. The server is not told: revoke the agent there too."""
    from agent.files import lock  # noqa: PLC0415 - as above
    from agent.pairing import unpair as forget  # noqa: PLC0415 - as above
    from agent.running import LOCK  # noqa: PLC0415 - as above

    folder = folder_of(state_dir)
    if folder.exists() and lock(folder / LOCK) is None:
        raise Failure("ALREADY_RUNNING", f"An agent runs with {folder}. Stop it first.")
    if not yes:
        click.confirm(f"Forget the pairing in {folder}? Secrets sealed for its key are lost to it", abort=True)
    was = forget(folder)
    found: dict[str, Any] = {"unpaired": was is not None, **({"agent_id": was.agent_id} if was else {})}
    say(found, as_json, lambda one: f"Agent {one['agent_id']} is forgotten here; revoke it in the console too."
        if one["unpaired"] else "There was no pairing.")  # fmt: skip


@click.group(cls=Commands, context_settings=SETTINGS)
@click.version_option(VERSION, prog_name="moorage-runner")
def runner() -> None:
    """Fetches released artifacts for a licensed machine."""


@runner.command()
@click.option("--server", required=True, help="The control plane's address, https://…")
@click.option("--token", envvar="MOORAGE_TOKEN", help="The bearer; better in MOORAGE_TOKEN or --token-file.")
@click.option("--token-file", type=click.File("r"), help="A file that holds the bearer; - is standard input.")
@click.option("--vm-uuid", required=True)
@click.option("--module", required=True)
@click.option("--platform", required=True)
@click.option("--channel", default="stable", show_default=True)
@click.option("--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--agent-id", default="moorage-runner", show_default=True, help="Who the lease is for.")
@click.option("--runner-id", help="[default: this machine's name]")
@click.option("--user-id", help="On behalf of this user (admin and infra only).")
@click.option("--max-seconds", default=3600.0, show_default=True, help="When to give up, all retries included.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="warning")
@ca_file
@as_json
def fetch(token: str | None, token_file: Any, log_level: str, as_json: bool, **options: Any) -> None:
    """Leases, downloads (resuming what is there), verifies and reports one artifact."""
    from agent import logs  # noqa: PLC0415 - as above
    from agent.runner.fetch import fetch as fetch_artifact  # noqa: PLC0415 - as above
    from agent.runner.order import order  # noqa: PLC0415 - as above

    logs.configure(log_level)
    done = fetch_artifact(order(token=token_file.read() if token_file else token, **options))
    say(done, as_json, lambda one: f"{one['output']}: {one['module']} {one['version']}, {one['size_bytes']} bytes,"
        f" SHA-256 {one['sha256']} verified")  # fmt: skip
