"""Log in, stay logged in, log out."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from webapp.access import client_address
from webapp.auth import attempts, sessions, totp
from webapp.auth import schemas as s
from webapp.auth.models import AuthSession
from webapp.auth.refusals import EmailUnverified, LoginRefused, NoTenant, SessionNotFound, TenantRequired
from webapp.caller import PUBLIC, anyone
from webapp.collaborators import collaborators
from webapp.errors import TokenInvalid
from webapp.limits import RateLimited
from webapp.listing import Page
from webapp.operation import Call, operation

logins = Blueprint("logins", __name__, url_prefix="/api/v1/auth")

# Users, of whatever role: a key or an agent has no sessions.
USERS = anyone()
REFUSALS = (LoginRefused, EmailUnverified)


def device() -> sessions.Device:
    return sessions.Device(client_address(), request.headers.get("User-Agent"))


@operation(logins, "POST /login", summary="Log in", tag="auth", allow=PUBLIC, body=s.Login, answer=s.TokensView,
           transacted=False, raises=(*REFUSALS, totp.MfaRequired, TenantRequired, NoTenant, RateLimited),
           example={"email": "ada@example.org", "password": "correct horse battery"})  # fmt: skip
def login(call: Call) -> sessions.Tokens:
    """`tenant_id` chooses between tenants; who belongs to one needs none. `totp`: the code of the user's app, or a
    recovery code, where they have a second factor."""
    its, body, where = collaborators(), call.body, device()
    # Of an address, and of an account: whoever guesses from many addresses meets the second.
    subjects = [f"login:{where.address}", f"account:{sessions.account_of(body['email'])}"]
    with attempts.guarding(its.database, subjects, REFUSALS, limit=its.settings.rate_limit_login):
        try:
            with its.database.transaction() as session:
                user = sessions.identify(session, body["email"], body["password"])
                totp.require(session, user, its.settings.session_keys, body.get("totp"))
                return sessions.begin(session, its.settings.session_secret, user, body.get("tenant_id"), where)
        except (*REFUSALS, totp.MfaRequired) as refused:
            with its.database.transaction() as session:
                sessions.note_failure(session, body["email"], refused.code, where)
            raise


@operation(logins, "POST /refresh", summary="The next pair of tokens", tag="auth", allow=PUBLIC, body=s.Refresh,
           answer=s.TokensView, transacted=False, raises=(TokenInvalid,))  # fmt: skip
def refresh(call: Call) -> sessions.Tokens:
    """A refresh token works once. Whoever sends a used one ends the session: it was copied."""
    its, token = collaborators(), call.body["refresh_token"]
    with its.database.transaction(sessions.tenant_of(token)) as session:
        made = sessions.renew(session, its.settings.session_secret, token)
    if made is None:
        raise TokenInvalid
    return made


@operation(logins, "POST /logout", summary="End this session", tag="auth", allow=USERS,
           raises=(SessionNotFound,))  # fmt: skip
def logout(call: Call) -> None:
    sessions.revoke(call.session, call.caller, str(call.caller.id))


@operation(logins, "POST /logout-all", summary="End all of your sessions in this tenant", tag="auth", allow=USERS,
           answer=s.EndedView)  # fmt: skip
def logout_all(call: Call) -> dict[str, Any]:
    return {"ended": sessions.revoke_all(call.session, call.caller)}


@operation(logins, "GET /sessions", summary="Your sessions in this tenant", tag="auth", allow=USERS,
           query=s.SESSIONS, answer=[s.SessionView])  # fmt: skip
def list_sessions(call: Call) -> Page:
    return sessions.mine(call.session, call.caller, call.query)


@operation(logins, "DELETE /sessions/<session_id>", summary="End a session", tag="auth", allow=USERS,
           answer=s.SessionView, raises=(SessionNotFound,))  # fmt: skip
def end_session(call: Call, session_id: str) -> AuthSession:
    """One of your own; an admin may end anybody's of the tenant."""
    return sessions.revoke(call.session, call.caller, session_id)
