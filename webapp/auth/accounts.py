"""Registering, verifying an address, and passwords that were forgotten or are changed.

Nobody learns from an answer whether an address is known: that is said in the mail to it, and nowhere else. A token is
made by the job that sends it, so that none is ever kept, not even in the queue; the database has its digest.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, func, update
from sqlalchemy.orm import Session

from webapp.audit import service as audit
from webapp.auth import passwords, users
from webapp.auth.models import AuthSession
from webapp.auth.refusals import LoginRefused
from webapp.auth.tokens import digest_of
from webapp.auth.user_models import AuthMailToken, AuthUser
from webapp.caller import Caller
from webapp.db import claim_also
from webapp.errors import MoorageError
from webapp.jobs import service as jobs
from webapp.tenants import service as tenants

LIVES = {"verify": timedelta(hours=24), "reset": timedelta(hours=1)}
TASK = "auth.mail"


class RegistrationDisabled(MoorageError):
    status, code = 403, "REGISTRATION_DISABLED"
    message = "Nobody registers here by themselves. An admin can add you."


class MailTokenInvalid(MoorageError):
    status, code = 400, "MAIL_TOKEN_INVALID"
    message = "This link was used, is too old, or was never sent. Have a new one sent."


def register(session: Session, *, email: str, password: str, name: str | None) -> None:
    """A user who has yet to verify the address; whoever has it already is written so.

    Raises InvalidRequest, PasswordRefused.
    """
    address = users.address_of(email)
    kept = passwords.digest(password, email=address)  # also where it is not needed: it takes its time
    known = users.by_email(session, address)
    if known is None:
        made = users.create(session, email=address, password=None, name=name)
        made.password_hash = kept
        _write(session, made.id, "verify")
    else:
        _write(session, known.id, "exists" if known.verified_at else "verify")


def resend(session: Session, email: str) -> None:
    """Another mail to verify an address, where there is one to be verified. Raises InvalidRequest."""
    known = users.by_email(session, users.address_of(email))
    if known is not None and known.verified_at is None:
        _write(session, known.id, "verify")


def forgot(session: Session, email: str) -> None:
    """A mail to choose a new password with, where the address is known. Raises InvalidRequest."""
    known = users.by_email(session, users.address_of(email))
    if known is not None:
        _write(session, known.id, "reset")


def _write(session: Session, user_id: str, kind: str) -> None:
    jobs.defer(session, TASK, user_id=user_id, kind=kind)


def new_token(session: Session, user_id: str, purpose: str) -> tuple[str, str] | None:
    """The user's address and a token for a mail; those sent before are worth nothing any more. None: no such user."""
    user = users.by_id(session, user_id)
    if user is None:
        return None
    if purpose not in LIVES:
        return user.email, ""
    token = secrets.token_urlsafe(32)
    mine = (AuthMailToken.user_id == user.id, AuthMailToken.purpose == purpose)
    session.execute(delete(AuthMailToken).where(*mine))
    expires_at = func.now() + LIVES[purpose]
    session.add(AuthMailToken(digest=digest_of(token), user_id=user.id, purpose=purpose, expires_at=expires_at))
    session.flush()
    return user.email, token


def _taken(session: Session, token: str, purpose: str) -> AuthUser:
    """The user whose token it is, which is thereby used. Raises MailTokenInvalid."""
    digest = digest_of(token)
    claim_also(session, mail_digest=digest.hex())
    right = (AuthMailToken.digest == digest, AuthMailToken.purpose == purpose, AuthMailToken.expires_at > func.now())
    user_id = session.scalar(delete(AuthMailToken).where(*right).returning(AuthMailToken.user_id))
    user = users.by_id(session, user_id) if user_id else None
    if user is None:
        raise MailTokenInvalid
    return user


def verify(session: Session, token: str, tenant_name: str | None) -> UUID | None:
    """The address is the user's. Who belongs to no tenant gets one of their own, as its admin: its id.

    Raises MailTokenInvalid, InvalidRequest.
    """
    user = _taken(session, token, "verify")
    user.verified_at = func.now()
    session.flush()
    if tenants.of_user(session, user.id):
        return None
    tenant = uuid4()
    claim_also(session, tenant_id=str(tenant))
    tenants.create_tenant(session, tenant_id=tenant, name=tenant_name or user.name or user.email)
    by = audit.Actor(tenant, user.id, "user")
    tenants.members.add(session, by, user_id=user.id, role="admin", email=user.email)
    return tenant


def reset(session: Session, token: str, password: str, address: str) -> None:
    """Another password, by mail: whoever reads the mailbox has verified it. All sessions end.

    Raises MailTokenInvalid, PasswordRefused.
    """
    user = _taken(session, token, "reset")
    user.password_hash = passwords.digest(password, email=user.email)
    user.verified_at = func.coalesce(AuthUser.verified_at, func.now())
    session.flush()
    _end_sessions(session, user, "password_reset", address)
    _write(session, user.id, "changed")


def change(session: Session, caller: Caller, current: str, password: str) -> None:
    """Another password; all other sessions end. Raises UserNotFound, LoginRefused, PasswordRefused."""
    user = users.known(session, caller.user_id)
    if not passwords.right(user.password_hash, current):
        raise LoginRefused
    user.password_hash = passwords.digest(password, email=user.email)
    session.flush()
    _end_sessions(session, user, "password_changed", caller.address, but=caller.id)


def _end_sessions(session: Session, user: AuthUser, event: str, address: str, *, but: UUID | None = None) -> None:
    """In every tenant of the user, whose log each says so."""
    for tenant in tenants.of_user(session, user.id):
        claim_also(session, tenant_id=str(tenant))
        open_ones = (AuthSession.user_id == user.id, AuthSession.revoked_at.is_(None), AuthSession.kind == "login")
        ended = update(AuthSession).where(*open_ones, AuthSession.id != (but or UUID(int=0)))
        session.execute(ended.values(revoked_at=func.now()))
        audit.record(session, audit.Actor(tenant, user.id, "user", address), event, subject=user.id)

