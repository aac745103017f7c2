"""Reading and writing how far a collection has come, within the transaction that brought it there."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from webapp.cutover.models import COMPLETE, READING
from webapp.cutover.sources import Place
from webapp.cutover.target import Cursor

_READ = """
SELECT phase, after, mark, carried FROM cutover_checkpoints
WHERE tenant_id = %s AND source = %s AND collection = %s
"""
_WRITE = """
INSERT INTO cutover_checkpoints (tenant_id, source, collection, phase, after, mark, carried)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (tenant_id, source, collection) DO UPDATE SET phase = excluded.phase, after = excluded.after,
    mark = excluded.mark, carried = excluded.carried, updated_at = now()
"""
_PLACES = "SELECT DISTINCT collection FROM cutover_checkpoints WHERE tenant_id = %s"


@dataclass(frozen=True)
class Progress:
    """`carried`: records so far; the rest as models.Checkpoint has it."""

    phase: str
    after: str | None
    mark: str | None
    carried: int = 0

    @property
    def complete(self) -> bool:
        return self.phase == COMPLETE


def reading(after: str | None, mark: str | None, carried: int) -> Progress:
    return Progress(READING, after, mark, carried)


def completed(mark: str | None, carried: int) -> Progress:
    return Progress(COMPLETE, None, mark, carried)


def read(cursor: Cursor, source: str, place: Place) -> Progress | None:
    cursor.execute(_READ, (place.tenant, source, place.collection))
    row = cursor.fetchone()
    return Progress(*row) if row else None


def write(cursor: Cursor, source: str, place: Place, progress: Progress) -> None:
    where = (place.tenant, source, place.collection)
    cursor.execute(_WRITE, (*where, progress.phase, progress.after, progress.mark, progress.carried))


def places(cursor: Cursor, tenant: UUID) -> list[str]:
    """The tenant's collections that were ever carried over, from whichever source."""
    cursor.execute(_PLACES, (tenant,))
    return [found for (found,) in cursor.fetchall()]
