"""From a command's type to the executor that runs it, with its secrets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from agent.commands import Command, Outcome, failed, succeeded
from agent.config import Config
from agent.executors import itself
from agent.executors.base import Executor, Progress
from agent.executors.proxmox import Proxmox
from agent.executors.syncthing import Syncthing
from agent.failures import Failure
from agent.pace import Pace
from agent.redaction import Sensitive
from agent.vault import Opened

log = logging.getLogger("agent.executors")

KINDS: Mapping[str, type[Proxmox] | type[Syncthing]] = {"proxmox": Proxmox, "syncthing": Syncthing}
REF = "secret_ref"


def capabilities() -> list[str]:
    """Every command type that this agent knows."""
    outside = {f"{name}.{action}" for name, kind in KINDS.items() for action in kind.actions}
    return sorted(outside | {f"{itself.NAME}.{action}" for action in itself.ACTIONS})


def may_run_again(command_type: str) -> bool:
    """Is running it twice the same as running it once?"""
    name, _, action = command_type.partition(".")
    if name == itself.NAME:
        return action in itself.ACTIONS
    return name in KINDS and action in KINDS[name].repeatable


class Registry:
    """`open_secrets` gives what the command's scope binds; it is asked only for a command that needs it."""

    def __init__(self, config: Config, pace: Pace, open_secrets: Callable[[str], list[Opened]]) -> None:
        self._open = open_secrets
        self._config = config
        self._executors: dict[str, Executor] = {}
        for name, endpoint in config.endpoints.items():
            self._executors[name] = Proxmox(endpoint, pace) if name == "proxmox" else Syncthing(endpoint)

    def execute(self, command: Command, progress: Progress) -> Outcome:
        """Never raises for what the command or its target did wrong."""
        name, _, action = command.command_type.partition(".")
        if name == itself.NAME:
            return self._itself(command, action)
        if name not in KINDS or action not in KINDS[name].actions:
            return failed("UNKNOWN_COMMAND", f"this agent does not know {command.command_type}; update it, or check the"
                          f" type: it knows {', '.join(sorted([itself.NAME, *KINDS]))}")
        executor = self._executors.get(name)
        if executor is None:
            return failed("NOT_CONFIGURED", f"{name} is not configured on this machine: add [{name}] with its url to"
                          " the agent's configuration file and start the agent again")
        try:
            params, secrets = self._with_secrets(command, executor, name)
            result = executor.run(action, params, secrets, progress)
        except Failure as failure:
            return failed(failure.code, failure.words)
        return succeeded(result, reads_only=action in executor.reads_only)

    def _itself(self, command: Command, action: str) -> Outcome:
        try:
            opened = self._open(command.id) if action == itself.CHECK_SECRETS else []
            return succeeded(itself.run(action, opened), reads_only=True)
        except Failure as failure:
            return failed(failure.code, failure.words)

    def _with_secrets(
        self, command: Command, executor: Executor, name: str
    ) -> tuple[Mapping[str, Any], Mapping[str, Sensitive]]:
        missing = executor.needs - set(self._config.endpoints[name].credentials)
        if not missing and not _refers(command.payload):
            return command.payload, {}
        opened = self._open(command.id)
        by_id = {one.secret_id: one.value for one in opened}
        by_name = {one.field_name: one.value for one in opened if one.field_name in executor.needs}
        filled: Mapping[str, Any] = _fill(command.payload, by_id)
        return filled, by_name


def _refers(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) == {REF} or any(_refers(item) for item in value.values())
    return isinstance(value, list) and any(_refers(item) for item in value)


def _fill(value: Any, secrets: Mapping[str, Sensitive]) -> Any:
    """The parameters with `{"secret_ref": ID}` replaced by that secret. Failure SECRET_NOT_BOUND."""
    if isinstance(value, dict):
        if set(value) == {REF}:
            found = secrets.get(str(value[REF]))
            if found is None:
                raise Failure("SECRET_NOT_BOUND", f"secret {value[REF]} is not bound to this command's scope")
            return found.reveal()
        return {name: _fill(item, secrets) for name, item in value.items()}
    return [_fill(item, secrets) for item in value] if isinstance(value, list) else value
