"""What shadowing saw: how many reads were compared, and which of them differed.

A difference is a row of its own, with names of fields and no values. Reads are counted in this process and written
with the next one of the tenant, once a second at most: a request waits for no row that others want. What a process has
not written when it ends is lost, so that the count is never too high.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import metrics

log = logging.getLogger("moorage.records")

EVERY_SECONDS = 1.0
_SEEN = text("INSERT INTO record_shadow_reads (tenant_id, reads) VALUES (:tenant, :reads)")
_DIFFERED = text(
    "INSERT INTO record_shadow_differences (tenant_id, verb, collection, record_id, reason)"
    " VALUES (:tenant, :verb, :collection, :record_id, :reason)"
)
DIFFERS = "differs"


class Asked(NamedTuple):
    """What both stores were to do: a method of theirs, and the record, if it was about one."""

    verb: str
    collection: str
    record_id: str | None = None


class Witness:
    """One for an application; its requests share it. Sessions are the tenant's."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[UUID, tuple[int, float]] = {}

    def compared(self, session: Session, tenant: UUID, asked: Asked, *, alike: bool) -> None:
        """A read was answered by both."""
        metrics.shadow_reads.labels("same" if alike else DIFFERS).inc()
        if reads := self._due(tenant):
            session.execute(_SEEN, {"tenant": tenant, "reads": reads})
        if not alike:
            self._told(session, tenant, asked, DIFFERS)

    def failed(self, session: Session, tenant: UUID, asked: Asked, error: Exception) -> None:
        """The follower could not be asked or written."""
        metrics.shadow_reads.labels("failed").inc()
        self._told(session, tenant, asked, type(error).__name__)

    def _told(self, session: Session, tenant: UUID, asked: Asked, reason: str) -> None:
        facts = {**asked._asdict(), "reason": reason}
        log.warning("the two stores of records differ", extra=facts)
        session.execute(_DIFFERED, {"tenant": tenant, **facts})

    def _due(self, tenant: UUID) -> int:
        """How many reads are to be written now; 0 where it was done just before."""
        with self._lock:
            reads, since = self._waiting.get(tenant, (0, 0.0))
            reads, now = reads + 1, self._clock()
            due = now - since >= EVERY_SECONDS
            self._waiting[tenant] = (0, now) if due else (reads, since)
            return reads if due else 0
