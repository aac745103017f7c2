"""Secrets: ciphertext goes in by anybody who may, and comes out for the agent that may open it, and nobody else."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from webapp.agents.service import AgentNotFound
from webapp.caller import admins, agents_only, anyone, members
from webapp.commands.service import CommandNotFound
from webapp.listing import Page
from webapp.operation import Call, operation
from webapp.vaulting import schemas as s
from webapp.vaulting import service
from webapp.vaulting.models import Binding, StoredSecret
from webapp.vaulting.refusals import BindingNotFound, SecretNotFound, SecretOwnerMismatch

vaulting = Blueprint("vaulting", __name__, url_prefix="/api/v1")

SCOPE = "secrets:write"
OWN = (SecretNotFound, SecretOwnerMismatch)


@operation(vaulting, "POST /secrets", summary="Store a secret's ciphertext", tag="secrets", allow=members(SCOPE),
           body=s.NewSecret, answer=s.SecretMeta, status=201, creates=True)  # fmt: skip
def create(call: Call) -> StoredSecret:
    return service.create(call.session, call.caller, call.body)


@operation(vaulting, "GET /secrets", summary="List what is known of the secrets", tag="secrets", allow=anyone(SCOPE),
           query=s.SECRETS, answer=[s.SecretMeta])  # fmt: skip
def secrets(call: Call) -> Page:
    return service.secrets(call.session, call.query)


@operation(vaulting, "GET /secrets/<secret_id>/meta", summary="What is known of a secret", tag="secrets",
           allow=anyone(SCOPE), answer=s.SecretMeta, raises=(SecretNotFound,))  # fmt: skip
def meta(call: Call, secret_id: str) -> StoredSecret:
    return service.secret_of(call.session, secret_id)


@operation(vaulting, "POST /secrets/<secret_id>/rotate", summary="Store a secret's next version", tag="secrets",
           allow=members(SCOPE), body=s.Rotation, answer=s.SecretMeta, creates=True, raises=OWN)  # fmt: skip
def rotate(call: Call, secret_id: str) -> StoredSecret:
    return service.rotate(call.session, call.caller, secret_id, call.body)


@operation(vaulting, "POST /secrets/bindings", summary="Bind a secret to a field of a scope", tag="secrets",
           allow=members(SCOPE), body=s.NewBinding, answer=s.BindingView, status=201, creates=True,
           raises=OWN)  # fmt: skip
def bind(call: Call) -> Binding:
    return service.bind(call.session, call.caller, call.body)


@operation(vaulting, "GET /secrets/bindings", summary="List bindings", tag="secrets", allow=anyone(SCOPE),
           query=s.BINDINGS, answer=[s.BindingView])  # fmt: skip
def bindings(call: Call) -> Page:
    return service.bindings(call.session, call.query)


@operation(vaulting, "DELETE /secrets/bindings/<binding_id>", summary="Take a binding away", tag="secrets",
           allow=members(SCOPE), answer=s.BindingGone, raises=(BindingNotFound, SecretOwnerMismatch))  # fmt: skip
def unbind(call: Call, binding_id: str) -> dict[str, Any]:
    return service.unbind(call.session, call.caller, binding_id)


@operation(vaulting, "GET /secrets/allowances", summary="Field paths that may hold plaintext", tag="secrets",
           allow=admins(SCOPE), answer=s.AllowancesView)  # fmt: skip
def allowances(call: Call) -> dict[str, Any]:
    return {"paths": service.allowed_paths(call.session)}


@operation(vaulting, "PUT /secrets/allowances", summary="Let these field paths hold plaintext, and no others",
           tag="secrets", allow=admins(SCOPE), body=s.Allowances, answer=s.AllowancesView)  # fmt: skip
def allow(call: Call) -> dict[str, Any]:
    return {"paths": service.allow(call.session, call.caller, call.body["paths"])}


@operation(vaulting, "GET /agents/<agent_id>/secrets", summary="The ciphertexts that a command's scope binds",
           tag="secrets", allow=agents_only(), query=s.Handing, answer=[s.Sealed],
           raises=(AgentNotFound, CommandNotFound))  # fmt: skip
def hand_out(call: Call, agent_id: str) -> list[dict[str, Any]]:
    return service.hand_out(call.session, call.caller, agent_id, call.query["command_id"])


@operation(vaulting, "POST /agents/<agent_id>/secrets/<secret_id>/ack", summary="Say that a version was opened",
           tag="secrets", allow=agents_only(), body=s.Acknowledgement, answer=s.Acknowledged,
           raises=(AgentNotFound, SecretNotFound))  # fmt: skip
def acknowledge(call: Call, agent_id: str, secret_id: str) -> dict[str, Any]:
    return service.acknowledge(call.session, call.caller, agent_id, secret_id, call.body["version"])
