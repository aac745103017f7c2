"""Users by e-mail address or id. Whoever asks claims the one or the other: row level security shows one row for it."""

from __future__ import annotations

import re
from uuid import uuid4

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.auth import passwords
from webapp.auth.user_models import AuthUser
from webapp.db import claim_also
from webapp.errors import InvalidRequest, MoorageError

LONGEST_EMAIL = 254
_EMAIL = re.compile(r"[^\s@<>\"(),:;\[\]\\]+@[^\s@<>\"(),:;\[\]\\]+\.[^\s@<>\"(),:;\[\]\\.]+")


class EmailTaken(MoorageError):
    status, code, message = 409, "EMAIL_TAKEN", "There is a user with this e-mail address already."


class UserNotFound(MoorageError):
    status, code, message = 404, "USER_NOT_FOUND", "There is no such user."


def address_of(text: str) -> str:
    """An e-mail address as it is kept: in lower case. Raises InvalidRequest."""
    address = text.strip().lower()
    if len(address) > LONGEST_EMAIL or not _EMAIL.fullmatch(address) or not address.isprintable():
        raise InvalidRequest("An e-mail address looks like name@example.org.", details={"email": ["Not an address."]})
    return address


def by_email(session: Session, email: str) -> AuthUser | None:
    """The user of an address in `address_of`'s form. From here on the transaction claims it, and the user's id."""
    claim_also(session, email=email)
    user = session.scalars(select(AuthUser).where(AuthUser.email == email)).one_or_none()
    if user is not None:
        claim_also(session, sub=user.id)
    return user


def by_id(session: Session, user_id: str) -> AuthUser | None:
    claim_also(session, sub=user_id)
    return session.get(AuthUser, user_id)


def known(session: Session, user_id: str) -> AuthUser:
    """Raises UserNotFound: users of an outside issuer are none of ours."""
    user = by_id(session, user_id)
    if user is None:
        raise UserNotFound
    return user


def create(
    session: Session, *, email: str, password: str | None, name: str | None = None, verified: bool = False
) -> AuthUser:
    """A new user. Raises InvalidRequest, PasswordRefused, EmailTaken."""
    address = address_of(email)
    kept = None if password is None else passwords.digest(password, email=address)
    user_id = str(uuid4())
    claim_also(session, email=address, sub=user_id)
    row = {"id": user_id, "email": address, "password_hash": kept, "name": name}
    row["verified_at"] = func.now() if verified else None  # type: ignore[assignment]  # the database's own clock
    added = session.scalars(insert(AuthUser).values(row).on_conflict_do_nothing().returning(AuthUser)).one_or_none()
    if added is None:
        raise EmailTaken
    return added
