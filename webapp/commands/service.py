"""Commands: made for an agent, listed, cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import Row, or_, select, text
from sqlalchemy.orm import Session

from webapp.agents import service as agents
from webapp.audit import service as audit
from webapp.caller import Caller
from webapp.commands.claims import WORD
from webapp.commands.models import Command
from webapp.commands.refusals import (
    AgentTimeout,
    CommandFinished,
    CommandNotFound,
    CommandOwnerMismatch,
    PayloadTooLarge,
    VmOpsInvalidAction,
)
from webapp.commands.states import ENDS, OPEN, Change, sources
from webapp.fields import uuid_of
from webapp.finding import by_id
from webapp.listing import Page, page_of
from webapp.wakeups import CHANNEL

__all__ = [
    "ACTIONS", "AgentTimeout", "CommandNotFound", "abandon", "cancel", "command_of", "commands", "create", "perform",
]  # fmt: skip

ACTIONS: dict[str, tuple[str, ...]] = {
    "proxmox": (
        "list-vms", "list-targets", "clone", "start", "stop", "restart", "shutdown", "status", "get-config",
        "update-config", "delete", "send-key", "task-status",
    ),
    "syncthing": ("status", "approve-device", "share-folder", "pause", "resume"),
}  # fmt: skip
# What fits into one frame with the command's other fields.
LARGEST_PAYLOAD_BYTES = 240_000
DEFAULT_SECONDS = 300
SORTABLE = {"queued_at": Command.queued_at, "status": Command.status, "command_type": Command.command_type}

# A hot path: the command, its event, its row in the audit log and the word of it in one round trip.
_CREATE = f"""
WITH made AS (
    INSERT INTO commands (id, tenant_id, agent_id, command_type, payload, created_by, expires_at)
    VALUES (%(id)s::uuid, %(tenant)s::uuid, %(agent)s::uuid, %(type)s, %(payload)s::jsonb, %(by)s,
        now() + make_interval(secs => %(seconds)s))
    RETURNING *
), told AS (
    INSERT INTO command_events (tenant_id, command_id, status) SELECT tenant_id, id, status FROM made
), audited AS ({audit.INSERT})
SELECT made.*, pg_notify(%(channel)s, %(word)s || agent_id::text) FROM made
"""  # noqa: S608 - a statement of ours
_END = """
WITH ended AS (
    UPDATE commands SET status = 'cancelled', completed_at = now(), error_message = :words
    WHERE {which} AND status = ANY(:sources) RETURNING *
), told AS (
    INSERT INTO command_events (tenant_id, command_id, status) SELECT tenant_id, id, status FROM ended
)
SELECT * FROM ended
"""
_CANCEL, _ABANDON = text(_END.format(which="id = :id")), text(_END.format(which="agent_id = :id"))


def perform(session: Session, caller: Caller, system: str, action: str, given: Mapping[str, Any]) -> Row[Any]:
    """A command by the name of its action. Raises VmOpsInvalidAction, and what `create` raises."""
    known = ACTIONS[system]
    if action not in known:
        raise VmOpsInvalidAction(action, known)
    return create(
        session, caller, agent_id=given["agent_id"], kind=f"{system}.{action}", payload=given.get("params") or {}
    )


def create(
    session: Session,
    caller: Caller,
    *,
    agent_id: str,
    kind: str,
    payload: Mapping[str, Any],
    seconds: int = DEFAULT_SECONDS,
    offline: str = "fail_fast",
) -> Row[Any]:
    """A queued command, and word of it to whichever process has the agent, when the transaction commits.

    Raises AgentNotFound, AgentOwnerMismatch, AgentRevoked, AgentNotActive, AgentOffline, PayloadTooLarge.
    """
    said = orjson.dumps(payload)
    if len(said) > LARGEST_PAYLOAD_BYTES:
        raise PayloadTooLarge
    agent = agents.for_command(session, caller, agent_id, online=offline == "fail_fast")
    details = {"agent_id": str(agent.id), "command_type": kind}
    row = audit.row(audit.Actor.of(caller), "command_created", subject=(command := uuid4()), details=details)
    values = {
        "id": str(command), "tenant": str(caller.tenant), "agent": str(agent.id), "type": kind,
        "payload": said.decode(), "by": caller.user_id, "seconds": seconds, "channel": CHANNEL, "word": WORD,
        **audit.values(row),
    }  # fmt: skip
    return session.connection().exec_driver_sql(_CREATE, values).one()


def commands(session: Session, caller: Caller, asked: Mapping[str, Any]) -> Page:
    """The commands that a caller may see, page by page."""
    query = select(Command)
    if caller.role == agents.OWN_ONLY:
        mine = Command.agent_id.in_(agents.owned_by(caller.user_id))
        query = query.where(or_(mine, Command.created_by == caller.user_id))
    if asked.get("agent_id"):
        query = query.where(Command.agent_id == uuid_of(asked["agent_id"]))
    if asked.get("status"):
        query = query.where(Command.status == asked["status"])
    searched = (Command.command_type, Command.error_message)
    return page_of(session, query, asked, sortable=SORTABLE, searched=searched, tie=Command.id)


def command_of(session: Session, caller: Caller, identifier: str) -> Command:
    """One command. An agent sees its own, a member those of their agents and those they made.

    Raises CommandNotFound, CommandOwnerMismatch.
    """
    command = by_id(session, Command, identifier)
    if command is None or (caller.kind == "agent" and command.agent_id != caller.id):
        raise CommandNotFound
    if caller.role == agents.OWN_ONLY and command.created_by != caller.user_id:
        mine = agents.owned_by(caller.user_id).where(agents.Agent.id == command.agent_id)
        if session.scalar(mine) is None:
            raise CommandOwnerMismatch
    return command


def cancel(session: Session, caller: Caller, identifier: str) -> Row[Any]:
    """The command, cancelled: whatever its agent says of it from now on changes nothing.

    Raises CommandNotFound, CommandOwnerMismatch, CommandFinished.
    """
    command = command_of(session, caller, identifier)
    values = {"id": command.id, "sources": list(sources(Change.CANCEL)), "words": None}
    ended = session.execute(_CANCEL, values).one_or_none()
    if ended is None:
        raise CommandFinished
    details = {"agent_id": str(command.agent_id), "command_type": command.command_type}
    audit.record(session, caller, "command_cancelled", subject=command.id, details=details)
    return ended


def abandon(session: Session, agent_id: UUID) -> int:
    """End all that an agent has not done: it was revoked. How many."""
    values = {"id": agent_id, "sources": list(OPEN), "words": "The agent was revoked."}
    return len(session.execute(_ABANDON, values).all())


def outcome(session: Session, command_id: UUID) -> Command | None:
    """A command that has come to its end; None while it has not."""
    return session.scalars(select(Command).where(Command.id == command_id, Command.status.in_(ENDS))).one_or_none()
