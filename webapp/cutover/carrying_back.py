"""What was written since a switch, brought back into the store before."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.db import Database
from webapp.records import service as records
from webapp.records.service import SETTINGS, Backend, Repository

WORKERS, BATCH = 4, 200
_STORES = (records.SUPABASE, records.RTDB)
_CHANGED = text("SELECT tenant_id, collection, id, at FROM record_changes ORDER BY tenant_id, collection, id")
# What was written again meanwhile has another time by then, or gets it from a writer whom this waits for.
_DONE = text(
    "DELETE FROM record_changes WHERE tenant_id = :tenant_id AND collection = :collection AND id = :id AND at = :at"
)


@dataclass(frozen=True)
class Back:
    stored: int
    deleted: int

    def __str__(self) -> str:
        return f"{self.stored:,} records stored, {self.deleted:,} deleted"


# A tenant, a collection and a record's id.
Changed = tuple[UUID, str, str]


def changed(session: Session) -> list[Changed]:
    """Which records were written or deleted since the switch, and not carried back since. `session` is the owner's."""
    return [(row.tenant_id, row.collection, row.id) for row in session.execute(_CHANGED)]


def carry_back(owner: Database, application: Database, backend: Backend) -> Back:
    """Each of them as it is now, in the store before; also while others write, who are then noted anew. Can be run any
    number of times: nothing is counted up. `application` lends WORKERS connections."""
    with owner.transaction() as session:
        waiting = [dict(row._mapping) for row in session.execute(_CHANGED)]

    def carried(noted: Mapping[str, Any]) -> bool:
        with application.transaction(noted["tenant_id"]) as session:
            ours, theirs = (backend.store(name, session, noted["tenant_id"]) for name in _STORES)
            return _carried(ours, theirs, noted["collection"], noted["id"])

    stored = 0
    # What is waited for is the network: each record is a request or two.
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="carry-back") as workers:
        for start in range(0, len(waiting), BATCH):
            batch = waiting[start : start + BATCH]
            stored += sum(workers.map(carried, batch))
            with owner.transaction() as session:
                session.execute(_DONE, batch)
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
