"""Signing in by way of a provider: the state that travels with the browser, and whose account it is that comes back.

Nothing is kept between the two ends but what the browser brings back: a signed state in the address, and a random word
in a cookie that the state is bound to. What must stay secret on the way is derived from both.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import jwt
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.audit import service as audit
from webapp.auth import users
from webapp.auth.oauth_client import Errand
from webapp.auth.providers import Profile
from webapp.auth.refusals import EmailUnverified
from webapp.auth.sessions import Device
from webapp.auth.tokens import base64url
from webapp.auth.user_models import AuthIdentity, AuthUser
from webapp.db import claim_also
from webapp.errors import InvalidRequest, MoorageError
from webapp.redaction import Secret
from webapp.signing import SigningKeys
from webapp.tenants import service as tenants

LIVES_SECONDS = 600
_ALGORITHM, _ISSUER = "HS256", "moorage-oauth"


class StateInvalid(MoorageError):
    status, code = 400, "OAUTH_STATE_INVALID"
    message = "This sign-in was begun in another browser, more than ten minutes ago, or is over. Begin again."


class ProviderEmailUnverified(MoorageError):
    status, code = 403, "OAUTH_EMAIL_UNVERIFIED"
    message = "The provider has not verified your e-mail address, so it proves nothing here. Verify it there first."


class NoAccount(MoorageError):
    status, code = 403, "OAUTH_NO_ACCOUNT"
    message = "There is no user with this verified e-mail address. Register first, or have yourself added to a tenant."


@dataclass(frozen=True)
class State:
    """What a sign-in that was begun here says of itself. `id` is used once."""

    id: str
    provider: str
    tenant: str | None
    text: str
    secret: Secret

    def errand(self, browser: str, redirect_uri: str) -> Errand:
        """The same at both ends, and known to nobody in between."""
        seeds = (f"{use}\0{self.id}\0{browser}" for use in ("verifier", "nonce"))
        verifier, nonce = (Secret(_derived(self.secret, seed)) for seed in seeds)
        return Errand(self.text, redirect_uri, verifier, nonce)


def new_browser() -> str:
    """A word for the cookie."""
    return secrets.token_urlsafe(32)


def begin(secret: Secret, provider: str, browser: str, tenant: str | None) -> State:
    """A new sign-in of the browser that has the word."""
    state_id = str(uuid4())
    end = int(time.time()) + LIVES_SECONDS
    claims = {"iss": _ISSUER, "jti": state_id, "aud": provider, "sub": _hashed(browser), "exp": end}
    if tenant:
        claims["tenant_id"] = tenant
    return State(state_id, provider, tenant, jwt.encode(claims, _key(secret), algorithm=_ALGORITHM), secret)


def resume(keys: SigningKeys, text: str, provider: str, browser: str) -> State:
    """The sign-in that this browser began with this provider. Raises StateInvalid."""
    for secret in keys.accepted():
        with suppress(StateInvalid):
            return _resumed_with(secret, text, provider, browser)
    raise StateInvalid


def _resumed_with(secret: Secret, text: str, provider: str, browser: str) -> State:
    try:
        claims = jwt.decode(
            text, _key(secret), algorithms=[_ALGORITHM], issuer=_ISSUER, audience=provider,
            options={"require": ["iss", "jti", "aud", "sub", "exp"]},
        )  # fmt: skip
    except (jwt.PyJWTError, ValueError):
        raise StateInvalid from None
    if not hmac.compare_digest(claims["sub"], _hashed(browser)):
        raise StateInvalid
    return State(claims["jti"], provider, claims.get("tenant_id"), text, secret)


def account(session: Session, profile: Profile, device: Device) -> AuthUser:
    """The user that a provider's account is, or becomes by its verified address; the transaction then claims them.

    Raises ProviderEmailUnverified, NoAccount, EmailUnverified.
    """
    claim_also(session, identity=profile.identity)
    known = session.get(AuthIdentity, profile.identity)
    if known is None:
        return _linked(session, profile, device)
    user = users.by_id(session, known.user_id)
    if user is None:
        raise NoAccount
    if user.verified_at is None:
        raise EmailUnverified
    return user


def _linked(session: Session, profile: Profile, device: Device) -> AuthUser:
    if profile.email is None or not profile.email_verified:
        raise ProviderEmailUnverified
    user = _owner(session, profile.email)
    # Whoever registers an address without owning it waits for its owner to come this way.
    if user is None or user.verified_at is None:
        raise NoAccount
    row = {"identity": profile.identity, "user_id": user.id}
    session.execute(insert(AuthIdentity).values(row).on_conflict_do_nothing())
    for tenant in tenants.of_user(session, user.id):
        claim_also(session, tenant_id=str(tenant))
        by = audit.Actor(tenant, user.id, "user", device.address)
        audit.record(session, by, "identity_linked", subject=user.id, details={"identity": profile.identity})
    return user


def _owner(session: Session, email: str) -> AuthUser | None:
    # Some letters beyond ASCII become ASCII in lower case: another address than the one that was verified.
    if not email.isascii():
        return None
    try:
        return users.by_email(session, users.address_of(email))
    except InvalidRequest:
        return None


def _hashed(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()


def _key(secret: Secret) -> bytes:
    # Of its own: what signs states signs no sessions.
    return hmac.digest(secret.reveal().encode(), b"moorage oauth state", "sha256")


def _derived(secret: Secret, what: str) -> str:
    return base64url(hmac.digest(_key(secret), what.encode(), "sha256"))
