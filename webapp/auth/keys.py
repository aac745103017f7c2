"""API keys: for programs that act for the tenant, within their scopes. Shown once, kept as a digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp.audit import service as audit
from webapp.auth.models import AuthKey
from webapp.auth.tokens import new_opaque
from webapp.errors import InvalidRequest, MoorageError
from webapp.finding import found
from webapp.listing import Page, page_of
from webapp.redaction import Secret

PREFIX = "mk"
# Long enough to bring the new one to where the old one is in use.
GRACE_SECONDS, LONGEST_GRACE_SECONDS = 86_400, 7 * 86_400
SORTABLE = {"created_at": AuthKey.created_at, "name": AuthKey.name, "last_used_at": AuthKey.last_used_at}


class KeyNotFound(MoorageError):
    status, code, message = 404, "KEY_NOT_FOUND", "There is no such API key."


class KeyRevoked(MoorageError):
    status, code, message = 409, "KEY_REVOKED", "This API key is revoked. Make a new one."


class KeyExpired(MoorageError):
    status, code, message = 409, "KEY_EXPIRED", "This API key is past its end. Make a new one."


@dataclass(frozen=True)
class Shown:
    """A key with its token, which nobody can show again."""

    key: AuthKey
    token: Secret


def create(session: Session, by: audit.Actor, given: Mapping[str, Any]) -> Shown:
    """A new key of whoever makes it. Raises InvalidRequest where it would be expired at once."""
    expires_at = given.get("expires_at")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidRequest(details={"expires_at": ["Must lie in the future."]})
    scopes = sorted(set(given["scopes"]))
    made = new_opaque(PREFIX, by.tenant, holder := uuid4())
    key = AuthKey(
        id=holder, tenant_id=by.tenant, owner_id=by.id, name=given["name"], scopes=scopes, digest=made.digest,
        expires_at=expires_at,
    )  # fmt: skip
    session.add(key)
    session.flush()
    audit.record(session, by, "key_created", subject=key.id, details={"name": key.name, "scopes": scopes})
    return Shown(key, made.token)


def key_of(session: Session, key_id: str, *, lock: bool = False) -> AuthKey:
    """Raises KeyNotFound."""
    return found(session, AuthKey, key_id, KeyNotFound, lock=lock)


def listed(session: Session, asked: Mapping[str, Any]) -> Page:
    """Also those that are revoked: what they did stands in the audit log."""
    return page_of(session, select(AuthKey), asked, sortable=SORTABLE, searched=(AuthKey.name,), tie=AuthKey.id)


def rotate(session: Session, by: audit.Actor, key_id: str, *, grace_seconds: int = GRACE_SECONDS) -> Shown:
    """The key with a new token; the one before works on for `grace_seconds`, the one before that no more.

    Raises KeyNotFound, KeyRevoked, KeyExpired.
    """
    key = key_of(session, key_id, lock=True)
    if key.revoked_at is not None:
        raise KeyRevoked
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        raise KeyExpired
    made = new_opaque(PREFIX, key.tenant_id, key.id)
    key.previous_digest, key.digest = key.digest, made.digest
    key.previous_until = func.now() + timedelta(seconds=grace_seconds) if grace_seconds else None
    session.flush()
    session.refresh(key)
    audit.record(session, by, "key_rotated", subject=key.id, details={"grace_seconds": grace_seconds})
    return Shown(key, made.token)


def revoke(session: Session, by: audit.Actor, key_id: str) -> AuthKey:
    """The key, worth nothing from now on; again changes nothing. Raises KeyNotFound."""
    key = key_of(session, key_id, lock=True)
    if key.revoked_at is None:
        key.revoked_at, key.previous_until = func.now(), None
        session.flush()
        session.refresh(key)
        audit.record(session, by, "key_revoked", subject=key.id)
    return key
