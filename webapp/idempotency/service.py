"""Idempotency-Key: the first answer again, for 24 h, within the very transaction that did the work.

Whoever comes second waits for the first one's transaction (the row's unique key), and then finds its answer; a
transaction that failed leaves nothing, so that trying again tries again.
"""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from sqlalchemy import CursorResult, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.errors import MoorageError
from webapp.idempotency.models import IdempotencyKey
from webapp.redaction import Secret
from webapp.sealed import opened, seal
from webapp.signing import SigningKeys

KEPT = text("interval '24 hours'")
# Where a caller has no tenant yet (an agent that registers): rows of a tenant that nobody can be of.
NOBODY = UUID(int=0)


class IdempotencyKeyReused(MoorageError):
    status, code = 409, "IDEMPOTENCY_KEY_REUSED"
    message = "This Idempotency-Key came with another request within the last 24 hours. A new request needs a new key."


@dataclass(frozen=True)
class Attempt:
    """A key as a caller used it. `scope` says who the caller is; `request` is what was asked."""

    tenant: UUID
    scope: str
    key: Secret
    request: bytes

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(f"{self.scope}\0{self.key.reveal()}".encode()).digest()


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


def request_digest(method: str, path: str, body: bytes) -> bytes:
    """What makes two requests the same one."""
    return hashlib.sha256(b"\0".join((method.encode(), path.encode(), body))).digest()


def begin(session: Session, attempt: Attempt, keys: SigningKeys) -> Answer | None:
    """The first answer where there is one; None where this is the first, which `finish` must then follow.

    Raises IdempotencyKeyReused.
    """
    mine = (IdempotencyKey.tenant_id == attempt.tenant) & (IdempotencyKey.digest == attempt.digest)
    session.execute(delete(IdempotencyKey).where(mine, IdempotencyKey.created_at < func.now() - KEPT))
    row = {"tenant_id": attempt.tenant, "digest": attempt.digest, "request": attempt.request}
    added = session.execute(insert(IdempotencyKey).values(**row).on_conflict_do_nothing())
    if isinstance(added, CursorResult) and added.rowcount:
        return None
    known = session.execute(select(IdempotencyKey).where(mine)).scalar_one()
    if not hmac.compare_digest(known.request, attempt.request):
        raise IdempotencyKeyReused
    if known.status is None or known.answer is None:
        raise IdempotencyKeyReused("The first request with this Idempotency-Key did not end well. Use a new key.")
    for pepper in keys.accepted():
        with suppress(InvalidTag):
            return Answer(known.status, opened(_key(attempt, pepper), known.answer, attempt.request))
    raise IdempotencyKeyReused(
        "The first request with this Idempotency-Key was answered, but the answer cannot be read any more: this "
        "server's secret was changed since. Look whether it was done before you ask again with a new key."
    )


def finish(session: Session, attempt: Attempt, pepper: Secret, answer: Answer) -> None:
    """Keep the answer, readable only with the caller's key."""
    mine = (IdempotencyKey.tenant_id == attempt.tenant) & (IdempotencyKey.digest == attempt.digest)
    sealed = seal(_key(attempt, pepper), answer.body, attempt.request)
    session.execute(update(IdempotencyKey).where(mine).values(status=answer.status, answer=sealed))


def forget(session: Session) -> int:
    """Delete the session's tenant's keys that are older than 24 h; how many."""
    gone: Any = session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < func.now() - KEPT))
    return int(gone.rowcount)


def _key(attempt: Attempt, pepper: Secret) -> bytes:
    # Both are needed: a dump alone does not open answers, not even of callers whose keys can be guessed.
    what = f"{attempt.scope}\0{attempt.key.reveal()}\0answer"
    return hmac.digest(pepper.reveal().encode(), what.encode(), "sha256")
