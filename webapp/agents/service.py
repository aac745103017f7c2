"""Agents: paired with a code, known by a token, seen while they beat, gone when they are revoked."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from webapp import wakeups
from webapp.agents.codes import Invitation, digest_of, new_code
from webapp.agents.heartbeats import Heartbeats
from webapp.agents.models import Agent, AgentPairing, FormerToken
from webapp.agents.refusals import (
    AgentNotActive,
    AgentNotFound,
    AgentOffline,
    AgentOwnerMismatch,
    AgentRevoked,
    AlreadyRevoked,
    PairingExpired,
    PairingNotFound,
)
from webapp.audit import service as audit
from webapp.auth import service as auth
from webapp.caller import Caller, Forbidden
from webapp.db import claiming
from webapp.fields import uuid_of
from webapp.finding import by_id
from webapp.listing import Page, page_of
from webapp.redaction import Secret

__all__ = [
    "Agent", "AgentNotActive", "AgentNotFound", "AgentOffline", "AgentOwnerMismatch", "AgentRevoked", "AlreadyRevoked",
    "Heartbeats", "PairingExpired", "PairingNotFound", "for_command", "owned_by", "revoked_word",
]  # fmt: skip

TOKEN_LIVES = timedelta(days=30)
# How long the token before still works once the next one was given: the answer may have been lost.
OVERLAP = timedelta(minutes=5)
# A pending agent whose code ran out is shown for this long.
KEPT = timedelta(days=1)
SORTABLE = {"created_at": Agent.created_at, "name": Agent.name, "last_seen_at": Agent.last_seen_at}
REVOKED = "revoked:"
# What a list or a look shows to whom: members see their own, whoever manages or only reads sees all of the tenant's.
OWN_ONLY = "member"


@dataclass(frozen=True)
class Pairing:
    """A pending agent and its code, which is shown this once."""

    agent: Agent
    expires_at: datetime
    invitation: Invitation


@dataclass(frozen=True)
class Tokened:
    """An agent and its new token, which is shown this once."""

    agent: Agent
    token: Secret
    expires_at: datetime


def revoked_word(word: str) -> UUID | None:
    """The agent that a wake-up says was revoked; None where it says something else."""
    return uuid_of(word.removeprefix(REVOKED)) if word.startswith(REVOKED) else None


def pair(
    session: Session, caller: Caller, *, server_url: str, minutes: int, name: str | None, owner_user_id: str | None
) -> Pairing:
    """A pending agent and the code that makes it active. Raises Forbidden for another user's without the right."""
    if owner_user_id not in (None, caller.user_id) and not caller.manages:
        raise Forbidden("Only admin and infra pair agents for other users.")
    code, identifier, now = new_code(), uuid4(), session.scalar(select(func.now()))
    assert now is not None  # noqa: S101 - PostgreSQL knows the time
    agent = Agent(
        id=identifier,
        tenant_id=caller.tenant,
        owner_user_id=owner_user_id or caller.user_id,
        name=name or f"agent-{identifier.hex[:8]}",
    )
    expires_at = now + timedelta(minutes=minutes)
    session.add(agent)
    session.flush()
    session.add(
        AgentPairing(
            digest=digest_of(code),
            tenant_id=caller.tenant,
            agent_id=identifier,
            created_by=caller.user_id,
            expires_at=expires_at,
        )
    )
    audit.record(session, caller, "agent_pairing_created", subject=identifier, details={"owner": agent.owner_user_id})
    session.flush()
    return Pairing(agent, expires_at, Invitation(server_url, code))


def register(session: Session, given: Mapping[str, Any], *, address: str) -> Tokened:
    """The agent that a code stands for, now active, and its token. The session needs no tenant's claims.

    Raises PairingNotFound, PairingExpired.
    """
    digest = digest_of(given["pairing_code"])
    if digest is None:
        raise PairingNotFound
    with claiming(session, None, pairing=digest.hex()):
        tenant = session.scalar(select(AgentPairing.tenant_id).where(AgentPairing.digest == digest))
    if tenant is None:
        raise PairingNotFound
    with claiming(session, tenant):
        used = update(AgentPairing).where(
            AgentPairing.digest == digest, AgentPairing.used_at.is_(None), AgentPairing.expires_at > func.now()
        )
        agent_id = session.scalar(used.values(used_at=func.now()).returning(AgentPairing.agent_id))
        agent = session.get(Agent, agent_id) if agent_id else None
        if agent is None or agent.status != "pending":
            raise PairingExpired
        return _activated(session, agent, given, address)


def _activated(session: Session, agent: Agent, given: Mapping[str, Any], address: str) -> Tokened:
    for name in ("machine_name", "version", "platform", "capabilities", "public_key"):
        setattr(agent, name, given.get(name))
    agent.key_id = key_id_of(given["public_key"]) if given.get("public_key") else None
    opaque = auth.new_opaque("ma", agent.tenant_id, agent.id)
    agent.status, agent.digest = "active", opaque.digest
    agent.paired_at = func.now()
    agent.token_expires_at = func.now() + TOKEN_LIVES
    session.flush()
    session.refresh(agent)
    assert agent.token_expires_at is not None  # noqa: S101 - set above
    by = audit.Actor(agent.tenant_id, str(agent.id), "agent", address)
    details = {"machine_name": agent.machine_name, "platform": agent.platform, "version": agent.version}
    audit.record(session, by, "agent_paired", subject=agent.id, details={"owner": agent.owner_user_id})
    audit.record(session, by, "agent_registered", subject=agent.id, details=details)
    return Tokened(agent, opaque.token, agent.token_expires_at)


def key_id_of(public_key: str) -> str:
    """The name of a key: `x25519:` and half the SHA-256 over its 32 bytes, as agents make it; `sha256:` over the text
    of what is no such key."""
    try:
        raw = base64.b64decode(public_key, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) == 32:
        return f"x25519:{hashlib.sha256(raw).hexdigest()[:32]}"
    return f"sha256:{hashlib.sha256(public_key.encode()).hexdigest()[:32]}"


def next_token(session: Session, caller: Caller) -> Tokened:
    """The agent's next token; the one before lives OVERLAP longer, and those before that as long as they were to.

    The session's caller is that agent.
    """
    agent = session.get(Agent, caller.id, with_for_update=True)
    if agent is None:
        raise AgentNotFound
    opaque = auth.new_opaque("ma", agent.tenant_id, agent.id)
    session.execute(delete(FormerToken).where(FormerToken.agent_id == agent.id, FormerToken.until <= func.now()))
    until = func.least(func.now() + OVERLAP, agent.token_expires_at)
    former = {"digest": agent.digest, "tenant_id": agent.tenant_id, "agent_id": agent.id, "until": until}
    session.execute(insert(FormerToken).values(former))
    agent.digest = opaque.digest
    agent.token_expires_at = func.now() + TOKEN_LIVES
    session.flush()
    session.refresh(agent)
    assert agent.token_expires_at is not None  # noqa: S101 - set above
    audit.record(session, caller, "agent_token_issued", subject=agent.id)
    return Tokened(agent, opaque.token, agent.token_expires_at)


def heartbeat(session: Session, caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
    """Note that an agent is there, at once: a heartbeat by HTTP (those of sockets are written in batches).

    Raises AgentNotFound, AgentOwnerMismatch, AgentRevoked, AgentNotActive.
    """
    agent = agent_of(session, caller, given["agent_id"])
    if agent.status == "revoked":
        raise AgentRevoked
    if agent.status != "active":
        raise AgentNotActive
    agent.last_seen_at = agent.beat_at = func.now()
    if "status" in given:
        agent.reported_status = given["status"]
    if "metadata" in given:
        agent.reported = given["metadata"]
    session.flush()
    session.refresh(agent)
    return {"agent_id": agent.id, "status": agent.status, "last_seen_at": agent.last_seen_at}


def agents(session: Session, caller: Caller, asked: Mapping[str, Any]) -> Page:
    """The agents that a caller may see, page by page."""
    query = select(Agent)
    if caller.role == OWN_ONLY:
        query = query.where(Agent.owner_user_id == caller.user_id)
    if asked.get("owner_user_id"):
        query = query.where(Agent.owner_user_id == asked["owner_user_id"])
    if asked.get("status"):
        query = query.where(Agent.standing == asked["status"])
    searched = (Agent.name, Agent.machine_name, Agent.platform)
    return page_of(session, query, asked, sortable=SORTABLE, searched=searched, tie=Agent.id)


def agent_of(session: Session, caller: Caller, identifier: str) -> Agent:
    """One agent. An agent sees itself, a member their own. Raises AgentNotFound, AgentOwnerMismatch."""
    agent = by_id(session, Agent, identifier)
    if agent is None or (caller.kind == "agent" and caller.id != agent.id):
        raise AgentNotFound
    if caller.role == OWN_ONLY and agent.owner_user_id != caller.user_id:
        raise AgentOwnerMismatch
    return agent


def for_command(session: Session, caller: Caller, identifier: str, *, online: bool) -> Agent:
    """The agent, if the caller may give it commands now. `online`: it has to be there.

    Raises AgentNotFound, AgentOwnerMismatch, AgentRevoked, AgentNotActive, AgentOffline.
    """
    agent = agent_of(session, caller, identifier)
    if agent.status == "revoked":
        raise AgentRevoked
    if agent.status != "active":
        raise AgentNotActive
    if online and not agent.online:
        raise AgentOffline
    return agent


def owned_by(user_id: str) -> Any:
    """The ids of a user's agents, as a sub-query."""
    return select(Agent.id).where(Agent.owner_user_id == user_id)


def revoke(session: Session, caller: Caller, identifier: str, reason: str | None) -> Agent:
    """The agent, from now on without a valid token; its sockets are closed. Raises AgentNotFound, AlreadyRevoked."""
    agent = agent_of(session, caller, identifier)
    session.refresh(agent, with_for_update=True)
    if agent.status == "revoked":
        raise AlreadyRevoked
    agent.status, agent.revoke_reason = "revoked", reason
    agent.revoked_at = func.now()
    session.flush()
    session.refresh(agent)
    wakeups.say(session, f"{REVOKED}{agent.id}")
    audit.record(session, caller, "agent_revoked", subject=agent.id, reason=reason)
    return agent


def forget_pending(session: Session) -> int:
    """Delete the tenant's agents that never registered, a day after their code ran out; how many."""
    over = select(AgentPairing.agent_id).where(AgentPairing.expires_at < func.now() - KEPT)
    gone: Any = session.execute(delete(Agent).where(Agent.status == "pending", Agent.id.in_(over)))
    return int(gone.rowcount)
