"""Agents: pairing, registering, heartbeats by HTTP, the list, the end. Their socket is the room `commands`'."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, request

from webapp import access
from webapp.agents import service
from webapp.agents.refusals import (
    AgentNotActive,
    AgentNotFound,
    AgentOwnerMismatch,
    AgentRevoked,
    AlreadyRevoked,
    PairingExpired,
    PairingNotFound,
)
from webapp.agents.schemas import (
    AGENTS,
    AgentView,
    Beat,
    BeatView,
    NewPairing,
    PairingView,
    RegisteredView,
    Registration,
    Revocation,
    TokenView,
)
from webapp.caller import PUBLIC, Forbidden, agents_only, anyone, managers, members
from webapp.collaborators import collaborators
from webapp.commands import service as commands
from webapp.fields import PlaintextSecretRefused
from webapp.limits import RateLimited
from webapp.listing import Page
from webapp.operation import Call, operation

agents = Blueprint("agents", __name__, url_prefix="/api/v1/agents")

# Whoever may, and the agent itself; one that was revoked is let in as far as being told so.
BEATERS = replace(members("agents:write"), agents=True, revoked_agents=True)
LOOKERS = replace(anyone("agents:read"), agents=True)


def server_url() -> str:
    """Where agents reach this control plane: PUBLIC_URL, or else what this request came to."""
    return str(collaborators().settings.public_url or request.host_url.rstrip("/"))


@operation(
    agents, "POST /pairings", summary="Make a pairing code", allow=members("agents:write"), body=NewPairing,
    answer=PairingView, status=201, creates=True, raises=(Forbidden,),
    example={"name": "rack 4", "expires_in_minutes": 15},
)  # fmt: skip
def pair(call: Call) -> dict[str, Any]:
    """The code is shown this once, works once, and is kept only as a digest."""
    made = service.pair(
        call.session,
        call.caller,
        server_url=server_url(),
        minutes=call.body["expires_in_minutes"],
        name=call.body.get("name"),
        owner_user_id=call.body.get("owner_user_id"),
    )
    agent, invitation = made.agent, made.invitation
    return {
        "id": agent.id,
        "tenant_id": agent.tenant_id,
        "owner_user_id": agent.owner_user_id,
        "name": agent.name,
        "status": agent.status,
        "pairing_code": invitation.code,
        "pairing_expires_at": made.expires_at,
        "pairing_bundle": invitation.bundle,
        "pairing_uri": invitation.uri,
        "pairing_url": invitation.url,
        "server_url": invitation.server_url,
    }


@operation(
    agents, "POST /register", summary="Become an agent, with a pairing code", allow=PUBLIC, body=Registration,
    answer=RegisteredView, status=201, creates=True, guarded=("pairing", PairingNotFound),
    raises=(PairingNotFound, PairingExpired, PlaintextSecretRefused, RateLimited),
    example={"pairing_code": "7K2M-9XQ4-T0AB-C5DE", "machine_name": "pve1", "version": "1.0.0", "platform": "linux"},
)  # fmt: skip
def register(call: Call) -> dict[str, Any]:
    """Send an Idempotency-Key: the code works once, and an answer that was lost can then be asked for again."""
    made = service.register(call.session, call.body, address=access.client_address())
    agent = made.agent
    return {
        "id": agent.id,
        "tenant_id": agent.tenant_id,
        "name": agent.name,
        "status": agent.status,
        "paired_at": agent.paired_at,
        "agent_token": made.token.reveal(),
        "agent_token_expires_at": made.expires_at,
    }


@operation(
    agents, "POST /heartbeat", summary="Say that an agent is there", allow=BEATERS, body=Beat, answer=BeatView,
    raises=(AgentNotFound, AgentOwnerMismatch, AgentRevoked, AgentNotActive, PlaintextSecretRefused),
)  # fmt: skip
def heartbeat(call: Call) -> dict[str, Any]:
    return service.heartbeat(call.session, call.caller, call.body)


@operation(
    agents, "POST /token", summary="The agent's next token", allow=agents_only(), answer=TokenView, creates=True,
    raises=(AgentNotFound,),
)  # fmt: skip
def token(call: Call) -> dict[str, Any]:
    """The one before works for 5 minutes more."""
    made = service.next_token(call.session, call.caller)
    return {
        "agent_id": made.agent.id,
        "agent_token": made.token.reveal(),
        "agent_token_expires_at": made.expires_at,
    }


@operation(agents, "GET ", summary="List agents", allow=anyone("agents:read"), query=AGENTS, answer=[AgentView])
def index(call: Call) -> Page:
    return service.agents(call.session, call.caller, call.query)


@operation(
    agents, "GET /<agent_id>", summary="One agent", allow=LOOKERS, answer=AgentView,
    raises=(AgentNotFound, AgentOwnerMismatch),
)  # fmt: skip
def one(call: Call, agent_id: str) -> Any:
    """With `public_key` and `key_id` where it has them: what secrets are sealed to."""
    return service.agent_of(call.session, call.caller, agent_id)


@operation(
    agents, "POST /<agent_id>/revoke", summary="Revoke an agent", allow=managers("agents:write"), body=Revocation,
    answer=AgentView, raises=(AgentNotFound, AlreadyRevoked), example={"reason": "The machine was sold."},
)  # fmt: skip
def revoke(call: Call, agent_id: str) -> Any:
    """Its token is dead at once, its sockets are closed (1008), and what it had not done is cancelled."""
    agent = service.revoke(call.session, call.caller, agent_id, call.body.get("reason"))
    commands.abandon(call.session, agent.id)
    return agent
