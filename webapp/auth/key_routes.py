"""API keys, which only an admin makes, rotates and revokes; a key manages none."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from webapp.audit.service import Actor
from webapp.auth import key_schemas as s
from webapp.auth import keys as service
from webapp.auth.keys import KeyExpired, KeyNotFound, KeyRevoked, Shown
from webapp.auth.models import AuthKey
from webapp.caller import admins
from webapp.listing import Page
from webapp.operation import Call, operation

keys = Blueprint("keys", __name__, url_prefix="/api/v1/auth/keys")


def _shown(made: Shown) -> dict[str, Any]:
    return {name: getattr(made.key, name) for name in s.KeyView().dump_fields} | {"token": made.token.reveal()}


@operation(keys, "POST ", summary="Make an API key", tag="keys", allow=admins(), body=s.NewKey, answer=s.ShownKeyView,
           status=201, creates=True, example={"name": "CI", "scopes": ["artifacts:read"]})  # fmt: skip
def create(call: Call) -> dict[str, Any]:
    """The token is shown this once."""
    return _shown(service.create(call.session, Actor.of(call.caller), call.body))


@operation(keys, "GET ", summary="List API keys", tag="keys", allow=admins(), query=s.KEYS, answer=[s.KeyView])
def listed(call: Call) -> Page:
    return service.listed(call.session, call.query)


@operation(keys, "GET /<api_key_id>", summary="An API key", tag="keys", allow=admins(), answer=s.KeyView,
           raises=(KeyNotFound,))  # fmt: skip
def key_of(call: Call, api_key_id: str) -> AuthKey:
    return service.key_of(call.session, api_key_id)


@operation(keys, "POST /<api_key_id>/rotate", summary="Give an API key a new token", tag="keys", allow=admins(),
           body=s.Rotate, answer=s.ShownKeyView, creates=True,
           raises=(KeyNotFound, KeyRevoked, KeyExpired))  # fmt: skip
def rotate(call: Call, api_key_id: str) -> dict[str, Any]:
    """The token before works on for `grace_seconds`, a day by default."""
    grace = call.body["grace_seconds"]
    return _shown(service.rotate(call.session, Actor.of(call.caller), api_key_id, grace_seconds=grace))


@operation(keys, "DELETE /<api_key_id>", summary="Revoke an API key", tag="keys", allow=admins(), answer=s.KeyView,
           raises=(KeyNotFound,))  # fmt: skip
def revoke(call: Call, api_key_id: str) -> AuthKey:
    """Dead at once, whatever is left of a rotation's time included."""
    return service.revoke(call.session, Actor.of(call.caller), api_key_id)
