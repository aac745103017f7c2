"""Giving ciphertext to the one agent that may open it, for one command, and hearing that it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from webapp import finding
from webapp.agents.service import Agent, AgentNotFound
from webapp.audit import service as audit
from webapp.caller import Caller
from webapp.commands import service as commands
from webapp.fields import uuid_of
from webapp.vaulting.models import SCOPES, SEALED_BOX, Binding, StoredSecret, Version
from webapp.vaulting.refusals import SecretNotFound

# A command's own words for what it is about.
_NAMES_OF = {"vm": ("vm_uuid", "vmid"), "bot": ("bot_id",)}
AT_WORK = ("dispatched", "running")


def scopes_of(agent: UUID, tenant: UUID, payload: Mapping[str, Any]) -> dict[str, list[str]]:
    """What a command is about, by the kind of scope. Ids are compared without regard to case."""
    named = {
        kind: [str(payload[name]).lower() for name in names if _is_id(payload.get(name))]
        for kind, names in _NAMES_OF.items()
    }
    return {"tenant": [str(tenant)], "agent": [str(agent)], **named}


def _is_id(value: Any) -> bool:
    return (isinstance(value, str) and value != "") or (isinstance(value, int) and not isinstance(value, bool))


def hand_out(session: Session, caller: Caller, agent_id: str, command_id: str) -> list[dict[str, Any]]:
    """The ciphertexts that the scope of a command of this agent binds: of each secret the newest version, and the one
    before while nobody has acknowledged the newest. What is sealed for another agent's key is not among them.

    Raises AgentNotFound for any agent but the caller, CommandNotFound for a command that it is not at.
    """
    agent = _itself(session, caller, agent_id)
    command = commands.command_of(session, caller, command_id)
    if command.status not in AT_WORK:
        raise commands.CommandNotFound
    rows = session.execute(_bound(agent, scopes_of(agent.id, agent.tenant_id, command.payload))).all()
    found: dict[tuple[UUID, str, int], dict[str, Any]] = {}
    # A narrow scope takes the place of a wide one, and comes last, where the last word is what counts.
    for row in sorted(rows, key=lambda one: (SCOPES.index(one.Binding.scope_type), one.Binding.created_at)):
        key = (row.StoredSecret.id, row.Binding.field_name, row.Version.version)
        found.pop(key, None)
        found[key] = _sealed(row)
    _note(session, caller, agent, command.id, list(found.values()))
    return list(found.values())


def _bound(agent: Agent, scopes: Mapping[str, Sequence[str]]) -> Any:
    wanted: list[ColumnElement[bool]] = [
        and_(Binding.scope_type == kind, func.lower(Binding.scope_id).in_(ids)) for kind, ids in scopes.items() if ids
    ]
    newest = aliased(Version)
    unacknowledged = (
        select(newest.version)
        .where(newest.secret_id == StoredSecret.id, newest.version == StoredSecret.version)
        .where(newest.acknowledged_at.is_(None))
        .exists()
    )
    other = aliased(Agent)
    somebody_elses = (
        select(other.id).where(other.key_id == Version.key_id, other.id != agent.id).exists()
        if agent.key_id is None
        else and_(Version.key_id != agent.key_id, select(other.id).where(other.key_id == Version.key_id).exists())
    )
    return (
        select(Binding, StoredSecret, Version)
        .join(StoredSecret, StoredSecret.id == Binding.secret_id)
        .join(Version, Version.secret_id == StoredSecret.id)
        .where(or_(*wanted), or_(Binding.only_user_id.is_(None), Binding.only_user_id == agent.owner_user_id))
        .where(or_(Version.version == StoredSecret.version,
                   and_(Version.version == StoredSecret.version - 1, unacknowledged)))
        .where(or_(Version.alg != SEALED_BOX, ~somebody_elses))
        .order_by(Version.version)
    )  # fmt: skip


def _sealed(row: Row[Any]) -> dict[str, Any]:
    secret, version, binding = row.StoredSecret, row.Version, row.Binding
    return {
        "id": secret.id, "label": secret.label, "alg": version.alg, "key_id": version.key_id, "nonce": version.nonce,
        "ciphertext": version.ciphertext, "aad_meta": version.aad_meta, "version": version.version,
        "field_name": binding.field_name, "scope_type": binding.scope_type, "scope_id": binding.scope_id,
    }  # fmt: skip


def _note(
    session: Session, caller: Caller, agent: Agent, command_id: UUID, given: Sequence[Mapping[str, Any]]
) -> None:
    versions: dict[UUID, set[int]] = {}
    for one in given:
        versions.setdefault(one["id"], set()).add(one["version"])
    for secret_id, numbers in sorted(versions.items()):
        session.execute(
            update(Version)
            .where(Version.secret_id == secret_id, Version.version.in_(numbers))
            .where(~Version.handed_to.contains([agent.id]))
            .values(handed_to=func.array_append(Version.handed_to, agent.id))
            .execution_options(synchronize_session=False)
        )
        details = {"command_id": str(command_id), "versions": sorted(numbers)}
        audit.record(session, caller, "secret_fetched", subject=secret_id, details=details)


def acknowledge(session: Session, caller: Caller, agent_id: str, secret_id: str, version: int) -> dict[str, Any]:
    """Note that the agent has opened a version. Once it is the newest one, older ciphertext is deleted.

    Raises AgentNotFound for any agent but the caller, SecretNotFound for what this agent was not handed.
    """
    agent = _itself(session, caller, agent_id)
    secret = finding.found(session, StoredSecret, secret_id, SecretNotFound, lock=True)
    handed = select(Version).where(Version.secret_id == secret.id, Version.handed_to.contains([agent.id]))
    held = {one.version: one for one in session.scalars(handed)}
    newest = max(held, default=0)
    if version > newest or (version not in held and newest != secret.version):
        raise SecretNotFound
    one = held.get(version)  # None: the one before, which went when another agent acknowledged the newest
    if one is not None and one.acknowledged_at is None:
        one.acknowledged_at, one.acknowledged_by = func.now(), agent.id
        session.flush()
        audit.record(session, caller, "secret_acked", subject=secret.id, details={"version": version})
    if version == secret.version:
        session.execute(delete(Version).where(Version.secret_id == secret.id, Version.version < version))
    return {"id": secret.id, "version": version}


def _itself(session: Session, caller: Caller, agent_id: str) -> Agent:
    if caller.id is None or uuid_of(agent_id) != caller.id:
        raise AgentNotFound
    agent = session.get(Agent, caller.id)
    if agent is None:
        raise AgentNotFound
    return agent
