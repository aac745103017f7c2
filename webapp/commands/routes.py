"""vm-ops: commands to agents, how agents fetch and answer them without a socket, and the stream of what happens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, current_app, request
from sqlalchemy.exc import SQLAlchemyError

from webapp.agents.service import AgentNotActive, AgentNotFound, AgentOffline, AgentOwnerMismatch, AgentRevoked
from webapp.auth import service as auth
from webapp.caller import Forbidden, agents_only, anyone, managers, members
from webapp.collaborators import collaborators
from webapp.commands import polling, service
from webapp.commands.bus import bus
from webapp.commands.claims import AgentsWord
from webapp.commands.events import Place, Reader
from webapp.commands.figures import count
from webapp.commands.refusals import (
    CommandFinished,
    CommandNotFound,
    CommandOwnerMismatch,
    PayloadTooLarge,
    VmOpsInvalidAction,
)
from webapp.commands.schemas import COMMANDS, Action, CommandView, EventsQuery, NewCommand, NextQuery, Outcome
from webapp.commands.states import ENDS, RESULTS, RUNNING
from webapp.errors import MoorageError
from webapp.fields import PlaintextSecretRefused, uuid_of
from webapp.listing import Page
from webapp.operation import Call, operation
from webapp.serving.channel import channels_of

vm_ops = Blueprint("vm_ops", __name__, url_prefix="/api/v1/vm-ops")

OF_AGENT: tuple[type[MoorageError], ...] = (
    AgentNotFound, AgentOwnerMismatch, AgentRevoked, AgentNotActive, AgentOffline, PayloadTooLarge,
    PlaintextSecretRefused,
)  # fmt: skip
# Whoever may look, and the agent itself.
LOOKERS = replace(anyone("ops:read"), agents=True)
EXAMPLE = {"agent_id": "0d9a1b52-7c39-4c3e-9f5e-1d4f4d1f8a10", "params": {"vmid": 100, "node": "pve1"}}
EVENT = """id: 7731-42
event: vm-command
data: {"id": "7f9c24e8-3b12-4fef-91e0-5d6a8c0b4e21", "command_type": "proxmox.start", "status": "running", …}

"""


def one_of(actions: Iterable[str]) -> str:
    """What a path's `action` is."""
    return f"One of {', '.join(f'`{action}`' for action in actions)}."


def _perform(call: Call, system: str, action: str) -> Any:
    made = service.perform(call.session, call.caller, system, action, call.body)
    count(made)
    return made


@operation(
    vm_ops, "POST /proxmox/<action>", summary="Have an agent do something to Proxmox", allow=members("commands:write"),
    body=Action, answer=CommandView, status=202, creates=True, raises=(VmOpsInvalidAction, *OF_AGENT), example=EXAMPLE,
    in_path={"action": one_of(service.ACTIONS["proxmox"])},
)  # fmt: skip
def proxmox(call: Call, action: str) -> Any:
    return _perform(call, "proxmox", action)


@operation(
    vm_ops, "POST /syncthing/<action>", summary="Have an agent do something to Syncthing",
    allow=members("commands:write"), body=Action, answer=CommandView, status=202, creates=True,
    raises=(VmOpsInvalidAction, *OF_AGENT), example={**EXAMPLE, "params": {"folder_id": "docs"}},
    in_path={"action": one_of(service.ACTIONS["syncthing"])},
)  # fmt: skip
def syncthing(call: Call, action: str) -> Any:
    return _perform(call, "syncthing", action)


@operation(
    vm_ops, "POST /commands", summary="Give an agent any command", allow=managers("commands:write"), body=NewCommand,
    answer=CommandView, status=202, creates=True, raises=OF_AGENT,
    example={"agent_id": EXAMPLE["agent_id"], "command_type": "proxmox.start", "payload": {"vmid": 100}},
)  # fmt: skip
def create(call: Call) -> Any:
    made = service.create(
        call.session,
        call.caller,
        agent_id=call.body["agent_id"],
        kind=call.body["command_type"],
        payload=call.body.get("payload") or {},
        seconds=call.body["expires_in_seconds"],
        offline=call.body["offline"],
    )
    count(made)
    return made


@operation(
    vm_ops, "GET /commands", summary="List commands", allow=anyone("ops:read"), query=COMMANDS, answer=[CommandView]
)
def commands(call: Call) -> Page:
    return service.commands(call.session, call.caller, call.query)


@operation(
    vm_ops, "GET /commands/next", summary="Wait for the agent's next command", allow=agents_only(), query=NextQuery,
    answer=CommandView, or_null=True, transacted=False, raises=(AgentNotFound,),
)  # fmt: skip
def next_command(call: Call) -> Any:
    """A long poll, for agents that cannot hold a socket: a command, or null when `timeout_ms` is up."""
    caller, named = call.caller, call.query.get("agent_id")
    assert caller.id is not None  # noqa: S101 - an agent has one
    if named is not None and uuid_of(named) != caller.id:
        raise AgentNotFound
    channels = channels_of(current_app)
    return polling.next_command(
        bus(),
        collaborators().database,
        caller.tenant,
        caller.id,
        seconds=call.query["timeout_ms"] / 1000,
        stopping=lambda: channels.stopping,
    )


@operation(
    vm_ops, "GET /commands/<command_id>", summary="One command", allow=LOOKERS, answer=CommandView,
    raises=(CommandNotFound, CommandOwnerMismatch),
)  # fmt: skip
def command(call: Call, command_id: str) -> Any:
    return service.command_of(call.session, call.caller, command_id)


@operation(
    vm_ops, "PATCH /commands/<command_id>", summary="What became of a command", allow=agents_only(), body=Outcome,
    answer=CommandView, transacted=False, raises=(CommandNotFound, CommandFinished),
    example={"status": "succeeded", "result": {"task": "UPID:pve1:…"}},
)  # fmt: skip
def patch(call: Call, command_id: str) -> Any:
    """By the agent that was given it. The same end told twice changes nothing; another end is refused."""
    caller, said = call.caller, call.body
    assert caller.id is not None  # noqa: S101 - an agent has one
    word = AgentsWord(collaborators().database, caller.tenant, caller.id)
    if said["status"] == RUNNING:
        told = word.begin(command_id)
    else:
        change = RESULTS[said["status"]]
        told = word.settle(command_id, change, result=said.get("result"), error=said.get("error_message"))
    if told is None or (not told.changed and told.command.status not in (*ENDS, RUNNING)):
        raise CommandNotFound
    if told.command.status != said["status"]:
        raise CommandFinished
    if told.changed:
        count(told.command)
    return told.command


@operation(
    vm_ops, "POST /commands/<command_id>/cancel", summary="Cancel a command", allow=members("commands:write"),
    answer=CommandView, raises=(CommandNotFound, CommandOwnerMismatch, CommandFinished),
)  # fmt: skip
def cancel(call: Call, command_id: str) -> Any:
    """At once, whatever its agent is at: what it says of the command from now on changes nothing."""
    ended = service.cancel(call.session, call.caller, command_id)
    count(ended)
    return ended


@operation(
    vm_ops, "GET /events", summary="Stream what becomes of commands", allow=anyone("ops:read"), query=EventsQuery,
    transacted=False, media="text/event-stream", answer_example=EVENT,
    headers={"Last-Event-ID": "The `id` of the last event that was seen: the stream goes on behind it."},
)  # fmt: skip
def events(call: Call) -> Response:
    """Server-sent events `vm-command`; each one's data is the command as it was then. `Last-Event-ID` goes on from
    there, for 24 h; without it, the stream begins with what comes next."""
    caller, credential, database = call.caller, call.credential, collaborators().database
    assert credential is not None  # noqa: S101 - not a public operation
    reader = Reader.of(database, caller, call.query.get("agent_id"))
    last = request.headers.get("Last-Event-ID") or call.query.get("last_event_id")
    place = Place.read(last) if last else reader.now()
    channels = channels_of(current_app)

    def vouch() -> None:
        with database.transaction(caller.tenant) as session:
            if auth.vouch(session, credential).role != caller.role:
                raise Forbidden

    def body() -> Iterator[str]:
        try:
            yield from polling.stream(reader, place, vouch=vouch, stopping=lambda: channels.stopping)
        except (SQLAlchemyError, MoorageError):
            return  # the answer has begun: its end says all that can be said

    return Response(body(), mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
