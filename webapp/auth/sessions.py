"""Log-ins: a session on one device, its access tokens, and its family of refresh tokens, each of which works once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from webapp.audit import service as audit
from webapp.auth import passwords, users
from webapp.auth.models import AuthSession
from webapp.auth.refusals import EmailUnverified, LoginRefused, NoTenant, SessionNotFound, TenantRequired
from webapp.auth.service import end_sessions
from webapp.auth.tokens import access_token, digest_of, holder_of, new_opaque
from webapp.auth.user_models import AuthRefreshToken, AuthUser
from webapp.caller import Caller
from webapp.db import claim_also
from webapp.errors import TokenInvalid
from webapp.fields import uuid_of
from webapp.finding import by_id
from webapp.listing import Page, page_of
from webapp.redaction import Secret
from webapp.tenants import service as tenants

ACCESS, REFRESH = timedelta(minutes=15), timedelta(days=30)
PREFIX = "mr"
# Where nobody's failed log-ins are written down.
NOBODY = UUID(int=0)
LONGEST_AGENT = 300


@dataclass(frozen=True)
class Device:
    """Where a log-in comes from."""

    address: str
    user_agent: str | None = None


@dataclass(frozen=True)
class Tokens:
    access_token: str
    refresh_token: str
    expires_in: int = int(ACCESS.total_seconds())


def identify(session: Session, email: str, password: str) -> AuthUser:
    """The user whose password it is; the transaction then claims them. Raises LoginRefused, EmailUnverified."""
    user = users.by_email(session, email.strip().lower())
    if not passwords.right(user.password_hash if user else None, password) or user is None:
        raise LoginRefused
    if user.password_hash and passwords.outdated(user.password_hash):
        user.password_hash = passwords.digest(password, email=user.email)
    if user.verified_at is None:
        raise EmailUnverified
    return user


def account_of(email: str) -> str:
    """What attempts at an address are counted under: the same for all its spellings, and not the address itself."""
    return hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]


def begin(session: Session, secret: Secret, user: AuthUser, wanted: str | None, device: Device) -> Tokens:
    """A session of an identified user in the tenant they want, or in their only one.

    Raises TenantRequired, NoTenant.
    """
    tenant = _tenant(tenants.of_user(session, user.id), wanted)
    claim_also(session, tenant_id=str(tenant))
    made = AuthSession(
        id=uuid4(), tenant_id=tenant, user_id=user.id, kind="login", email=user.email, address=device.address,
        user_agent=(device.user_agent or "")[:LONGEST_AGENT] or None, expires_at=datetime.now(UTC) + REFRESH,
    )  # fmt: skip
    session.add(made)
    session.flush()
    by = audit.Actor(tenant, user.id, "user", device.address)
    audit.record(session, by, "login_succeeded", subject=made.id)
    return _tokens(session, secret, made)


def _tenant(his: list[UUID], wanted: str | None) -> UUID:
    if not his:
        raise NoTenant
    asked = his[0] if wanted is None and len(his) == 1 else uuid_of(wanted or "")
    if asked not in his:
        raise TenantRequired(details={"tenants": [str(tenant) for tenant in his]})
    return asked


def note_failure(session: Session, email: str, reason: str, device: Device) -> None:
    """Write a refused log-in down, in the log of each tenant of the user; of nobody where there is no user."""
    user = users.by_email(session, email.strip().lower())
    for tenant in (tenants.of_user(session, user.id) if user else []) or [NOBODY]:
        claim_also(session, tenant_id=str(tenant))
        by = audit.Actor(tenant, user.id if user else "unknown", "user", device.address)
        audit.record(session, by, "login_failed", "denied", reason=reason)


def renew(session: Session, secret: Secret, token: str) -> Tokens | None:
    """The next pair of tokens. None: the token is worth nothing; one that was used before has then ended its session.

    The transaction must claim the token's tenant (`tokens.holder_of`), and be committed also for None.
    """
    digest, now = digest_of(token), func.now()
    taken = update(AuthRefreshToken).where(AuthRefreshToken.digest == digest, AuthRefreshToken.used_at.is_(None))
    holder = session.scalar(taken.values(used_at=now).returning(AuthRefreshToken.session_id))
    if holder is None:
        family = session.scalar(select(AuthRefreshToken.session_id).where(AuthRefreshToken.digest == digest))
        if family is not None:
            _end(session, family, "refresh_token_reused")
        return None
    alive = (AuthSession.id == holder, AuthSession.revoked_at.is_(None), AuthSession.expires_at > now)
    found = session.scalars(select(AuthSession).where(*alive).with_for_update()).one_or_none()
    if found is None:
        return None
    found.last_used_at, found.expires_at = datetime.now(UTC), datetime.now(UTC) + REFRESH
    return _tokens(session, secret, found)


def _end(session: Session, session_id: UUID, event: str) -> None:
    ended = update(AuthSession).where(AuthSession.id == session_id, AuthSession.revoked_at.is_(None))
    row = session.execute(ended.values(revoked_at=func.now()).returning(AuthSession.tenant_id, AuthSession.user_id))
    for tenant, user_id in row:
        audit.record(session, audit.Actor(tenant, user_id, "user"), event, "denied", subject=session_id)


def _tokens(session: Session, secret: Secret, of: AuthSession) -> Tokens:
    made = new_opaque(PREFIX, of.tenant_id, of.id)
    row = {"digest": made.digest, "tenant_id": of.tenant_id, "session_id": of.id, "expires_at": of.expires_at}
    session.add(AuthRefreshToken(**row))
    session.flush()
    access = access_token(
        secret, tenant=of.tenant_id, user_id=of.user_id, session_id=of.id, lives=ACCESS, email=of.email
    )
    return Tokens(access, made.token.reveal())


def tenant_of(token: str) -> UUID:
    """The tenant that a refresh token names. Raises TokenInvalid."""
    return holder_of(token, PREFIX)[0]


def mine(session: Session, caller: Caller, asked: Mapping[str, Any]) -> Page:
    """The caller's sessions in this tenant that are in force. `asked` is a loaded query of SESSIONS."""
    alive = (AuthSession.user_id == caller.user_id, AuthSession.revoked_at.is_(None))
    query = select(AuthSession).where(*alive, AuthSession.expires_at > func.now())
    sortable = {name: getattr(AuthSession, name) for name in ("created_at", "last_used_at", "expires_at")}
    searched = (AuthSession.address, AuthSession.user_agent)
    return page_of(session, query, asked, sortable=sortable, searched=searched, tie=AuthSession.id)


def revoke(session: Session, caller: Caller, session_id: str) -> AuthSession:
    """End one session of one's own; an admin ends anybody's of the tenant. Raises SessionNotFound."""
    found = by_id(session, AuthSession, session_id)
    if found is None or (found.user_id != caller.user_id and caller.role != "admin"):
        raise SessionNotFound
    if found.revoked_at is None:
        found.revoked_at = datetime.now(UTC)
        audit.record(session, caller, "session_revoked", subject=found.id, details={"user_id": found.user_id})
    return found


def revoke_all(session: Session, caller: Caller) -> int:
    """End all of the caller's sessions in this tenant; how many."""
    count = end_sessions(session, caller.user_id)
    audit.record(session, caller, "sessions_revoked", subject=caller.user_id, details={"count": count})
    return count


__all__ = ["Device", "TokenInvalid", "Tokens", "begin", "identify", "mine", "renew", "revoke", "revoke_all"]
