"""Who a token stands for, and tokens that the command line issues."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, func, update
from sqlalchemy.orm import Session

from webapp.audit import service as audit
from webapp.auth import attempts, totp, users
from webapp.auth.issuers import OutsideIssuer, read
from webapp.auth.key_uses import KeyUses
from webapp.auth.models import AuthSession
from webapp.auth.providers import Provider, providers_of
from webapp.auth.tokens import Credential, access_token, new_opaque
from webapp.auth.users import UserNotFound
from webapp.caller import ROLES, Caller
from webapp.db import ask_first
from webapp.errors import InvalidRequest, TokenInvalid
from webapp.redaction import Secret
from webapp.tenants import service as tenants

__all__ = [
    "Credential", "KeyUses", "OutsideIssuer", "Provider", "UserNotFound", "ask_standing", "attempts", "caller_of",
    "find_user", "issue_token", "new_opaque", "providers_of", "read", "standing", "totp", "vouch",
]  # fmt: skip

LONGEST_ISSUED = timedelta(days=365)
LONGEST_USER_ID = 200

# For statements that vouch and work at once: FROM the function, with the values of `standing`.
STANDING = "auth_standing(%(credential)s, %(digest)s, %(subject)s)"
_AGENT_STANDING = "agent_standing(%(credential)s, %(digest)s)"


def standing(credential: Credential) -> dict[str, Any]:
    """The values that STANDING wants."""
    return {"credential": credential.id, "digest": credential.digest, "subject": credential.subject}


def vouch(session: Session, credential: Credential, *, address: str = "") -> Caller:
    """The caller that a credential stands for now; the session's claims must name its tenant.

    Raises TokenInvalid where session, key or agent is revoked, expired or was never there.
    """
    return caller_of(credential, ask_standing(session, credential), address=address)


def ask_standing(session: Session, credential: Credential) -> Row[Any] | None:
    """What `caller_of` wants to know, asked together with the transaction's BEGIN; None: worth nothing any more."""
    source = _AGENT_STANDING if credential.kind == "agent" else STANDING
    rows = ask_first(session, f"SELECT * FROM {source}", standing(credential))  # noqa: S608 - one of our own two
    return rows[0] if rows else None


def caller_of(credential: Credential, row: Any, *, address: str = "") -> Caller:
    """The caller out of what `auth_standing` or `agent_standing` gave. Raises TokenInvalid."""
    if row is None:
        raise TokenInvalid
    if credential.kind == "agent":
        return Caller(
            "agent",
            credential.tenant,
            row.owner_user_id,
            credential.id,
            agent_revoked=row.status == "revoked",
            address=address,
        )
    if credential.kind == "user" and (row.role or credential.role) not in ROLES:
        raise TokenInvalid
    return Caller(
        credential.kind,
        credential.tenant,
        row.user_id,
        credential.id,
        role=row.role or credential.role,
        scopes=frozenset(row.scopes or ()),
        email=credential.email,
        address=address,
    )


def find_user(session: Session, email: str) -> tuple[str, str]:
    """The id and the address of the user who has verified this address. Raises InvalidRequest, UserNotFound."""
    found = users.by_email(session, users.address_of(email))
    if found is None or found.verified_at is None:
        raise UserNotFound
    return found.id, found.email


def end_sessions(session: Session, user_id: str) -> int:
    """Every session of a user in the session's tenant ends, also those that the command line has issued; how many."""
    ended = update(AuthSession).where(AuthSession.user_id == user_id, AuthSession.revoked_at.is_(None))
    return len(session.execute(ended.values(revoked_at=func.now()).returning(AuthSession.id)).all())


@dataclass(frozen=True)
class Issued:
    """A token that the command line prints."""

    token: Secret
    session_id: UUID
    expires_at: datetime


def issue_token(
    session: Session, secret: Secret, *, tenant: UUID, user_id: str, role: str, lives: timedelta
) -> Issued:
    """One bearer token with a role of its own, revocable like any session.

    Raises InvalidRequest, TenantNotFound.
    """
    if not 1 <= len(user_id) <= LONGEST_USER_ID or not user_id.isprintable() or user_id != user_id.strip():
        raise InvalidRequest(f"A user's id has 1 to {LONGEST_USER_ID} printable characters, with no blank at its ends.")
    if not timedelta(seconds=1) <= lives <= LONGEST_ISSUED:
        raise InvalidRequest(f"A token lives 1 second to {LONGEST_ISSUED.days} days.")
    tenants.require_tenant(session, tenant)
    made = AuthSession(
        id=uuid4(), tenant_id=tenant, user_id=user_id, kind="issued", role=role, expires_at=datetime.now(UTC) + lives
    )
    session.add(made)
    session.flush()
    by = audit.Actor(tenant, "moorage token issue", "cli")
    audit.record(session, by, "token_issued", subject=user_id, details={"role": role, "session_id": str(made.id)})
    token = access_token(secret, tenant=tenant, user_id=user_id, session_id=made.id, lives=lives)
    return Issued(Secret(token), made.id, made.expires_at)
