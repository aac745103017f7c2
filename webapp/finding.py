"""One row by the id that a client gave: what cannot be an id of ours is simply not known."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy.orm import Session

from webapp.db import Base
from webapp.errors import MoorageError
from webapp.fields import uuid_of

M = TypeVar("M", bound=Base)


def by_id(session: Session, model: type[M], identifier: str, *, lock: bool = False) -> M | None:
    """`lock`: of two who change or delete it at once, the second waits, and sees what became of it."""
    known = uuid_of(identifier)
    return session.get(model, known, with_for_update=lock or None) if known else None


def found(
    session: Session, model: type[M], identifier: str, missing: type[MoorageError], *, lock: bool = False
) -> M:
    """The same, where it must be there. Raises `missing`."""
    row = by_id(session, model, identifier, lock=lock)
    if row is None:
        raise missing
    return row
