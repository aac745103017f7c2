"""What was written since a switch, brought back into the store before."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.db import Database
from webapp.records import service as records
from webapp.records.service import SETTINGS, Backend, Repository

_CHANGED = text("SELECT tenant_id, collection, id FROM record_changes ORDER BY tenant_id, collection, id")


@dataclass(frozen=True)
class Back:
    stored: int
    deleted: int

    def __str__(self) -> str:
        return f"{self.stored:,} records stored, {self.deleted:,} deleted"


# A tenant, a collection and a record's id.
Changed = tuple[UUID, str, str]


def changed(session: Session) -> list[Changed]:
    """Which records were written or deleted since the switch. `session` is the owner's."""
    return [(row.tenant_id, row.collection, row.id) for row in session.execute(_CHANGED)]


def carry_back(owner: Database, application: Database, backend: Backend) -> Back:
    """Each of them as it is now, in the store before. Can be run any number of times: nothing is counted up."""
    with owner.transaction() as session:
        waiting = changed(session)
    stored = deleted = 0
    for tenant, collection, record_id in waiting:
        with application.transaction(tenant) as session:
            ours, theirs = (backend.store(name, session, tenant) for name in (records.SUPABASE, records.RTDB))
            kept = _carried(ours, theirs, collection, record_id)
        stored, deleted = stored + kept, deleted + (not kept)
    return Back(stored, deleted)


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
