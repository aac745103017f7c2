"""What was written since a switch, brought back into the store before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.db import Database
from webapp.records import service as records
from webapp.records.service import SETTINGS, Backend, Repository

WORKERS = 4
_CHANGED = text("SELECT tenant_id, collection, id, at FROM record_changes ORDER BY tenant_id, collection, id")


@dataclass(frozen=True)
class Back:
    stored: int
    deleted: int

    def __str__(self) -> str:
        return f"{self.stored:,} records stored, {self.deleted:,} deleted"


# A tenant, a collection and a record's id.
Changed = tuple[UUID, str, str]


def changed(session: Session) -> dict[Changed, datetime]:
    """Which records were written or deleted since the switch, and when last. `session` is the owner's."""
    return {(row.tenant_id, row.collection, row.id): row.at for row in session.execute(_CHANGED)}


def carry_back(owner: Database, application: Database, backend: Backend, done: dict[Changed, datetime]) -> Back:
    """Each of them as it is now, in the store before; also while others write. Can be run any number of times: nothing
    is counted up, and what is noted stays.

    Args:
        application: lends WORKERS connections.
        done: when each of those was written that need not be carried again; what was carried is added. Who writes on
            gives a record another time, which is seen once he has committed.
    """
    with owner.transaction() as session:
        noted = changed(session)
    waiting = [record for record, at in noted.items() if done.get(record) != at]

    def carried(record: Changed) -> bool:
        tenant, collection, record_id = record
        with application.transaction(tenant) as session:
            ours, theirs = (backend.store(name, session, tenant) for name in (records.SUPABASE, records.RTDB))
            stored = _carried(ours, theirs, collection, record_id)
        done[record] = noted[record]
        return stored

    # What is waited for is the network: each record is a request or two.
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="carry-back") as workers:
        stored = sum(workers.map(carried, waiting))
    return Back(stored, len(waiting) - stored)


def _carried(ours: Repository, theirs: Repository, collection: str, record_id: str) -> bool:
    if collection == SETTINGS:
        theirs.put((), ours.tree())
        return True
    record = ours.get(collection, record_id)
    if record is None:
        theirs.delete(collection, record_id)
        return False
    theirs.store(collection, record)
    return True
