"""The agents' socket: who may not enter is told so before the upgrade, with HTTP 401."""

from __future__ import annotations

from typing import NoReturn

from flask import Blueprint, request

from webapp.errors import MissingBearerToken, TokenInvalid

agents = Blueprint("agents", __name__)


def bearer_token() -> str | None:
    """From the Authorization header or, for clients that cannot set one, the query (which is never logged)."""
    given = request.authorization
    if given is not None and given.type == "bearer":
        return given.token or None
    return request.args.get("token") or None


def connect() -> NoReturn:
    """Refuses the upgrade: no agent has been given a token by this version, so none can be valid.

    Raises MissingBearerToken, TokenInvalid.
    """
    if bearer_token() is None:
        raise MissingBearerToken
    raise TokenInvalid


for path in ("/api/v1/agents/ws", "/ws/v1/agents/connect"):
    for upgrade in (True, False):  # a request that asks for no upgrade is refused in the same words
        agents.add_url_rule(path, view_func=connect, methods=["GET"], websocket=upgrade)
