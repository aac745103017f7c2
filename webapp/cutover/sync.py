"""Carrying records over, any number of times: in batches, each one transaction with the checkpoint that says so.

A source comes in the order of ids, and so does the table: a batch covers the ids after the one before up to its last,
and what the table has there that the source has not was deleted. So two runs leave the same rows, and a run that was
killed goes on with the next batch. Where the source can say what was written since the last run, only that is read, and
the ids alone tell what was deleted.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from uuid import UUID

from psycopg import errors

from webapp.cutover import checkpoints, target
from webapp.cutover.checkpoints import Progress
from webapp.cutover.findings import Findings, Kind
from webapp.cutover.mapping import Unmappable, row_of
from webapp.cutover.progress import Meter
from webapp.cutover.scan import encodable
from webapp.cutover.sources import Item, Place, Source, SourceUnreadable
from webapp.cutover.target import Target, Written
from webapp.failures import Failure

# A batch ends with whichever comes first.
BATCH_ROWS, BATCH_BYTES = 5_000, 4 * 1024 * 1024
_SWITCH_SECONDS = 0.0002
# Records are made by the million and hold no cycles: to look for those after every 700 would take a third of the time.
GARBAGE = 50_000


class UnknownTenant(Failure):
    code = "TENANT_NOT_FOUND"


@dataclass
class Carried:
    """What was done with one collection. `how`: everything was read, or only changes, or the rest of a run before."""

    place: Place
    how: str = "all"
    read: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    left_out: int = 0

    def add(self, written: Written) -> None:
        self.inserted += written.inserted
        self.updated += written.updated
        self.deleted += written.deleted


@dataclass
class Synced:
    """All of a run. `findings`: the records that can be no rows, which were left out."""

    dry_run: bool
    carried: list[Carried] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)


@dataclass
class _Batch:
    """`lines` as target.fill takes them, `rows` of them with a row, out of `count` records."""

    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    rows: int = 0
    count: int = 0
    last: str | None = None


class Sync:
    """One run. `full`: everything is read, whatever the source can say of changes."""

    def __init__(
        self, source: Source, into: Target, meter: Meter, *, dry_run: bool = False, full: bool = False
    ) -> None:
        self._source, self._target, self._meter = source, into, meter
        self._dry, self._full = dry_run, full
        self._name = source.name
        self._done = Synced(dry_run)

    def run(self, tenants: frozenset[UUID] = frozenset()) -> Synced:
        """Every collection of these tenants (of all where none is named).

        Raises SourceError, UnknownTenant, CutoverRunning, TargetFull, psycopg.Error.
        """
        self._target.be_alone()
        places = [place for place in self._source.places() if not tenants or place.tenant in tenants]
        if not places:
            raise SourceUnreadable("The source has no record of any tenant: is it the right one, and its root?")
        here = self._target.tenants()
        strangers = sorted({str(place.tenant) for place in places} - {str(one) for one in here})
        if strangers:
            raise UnknownTenant(f"The source has records of tenants that are not here: {', '.join(strangers[:5])}.")
        emptied = self._emptied(places)
        for place in sorted({*places, *emptied}):
            self._place(place)
        return self._done

    def _emptied(self, places: list[Place]) -> list[Place]:
        """Collections that an earlier run carried over, of tenants that the source has, and that it has no more. (Of a
        tenant that it does not have at all it may be an export of a part.)"""
        found = []
        for tenant in {place.tenant for place in places}:
            with self._target.transaction(tenant) as cursor:
                found += [Place(tenant, one) for one in checkpoints.places(cursor, tenant)]
        return [place for place in found if place not in places]

    def _place(self, place: Place) -> None:
        carried = Carried(place)
        self._done.carried.append(carried)
        with self._target.transaction(place.tenant) as cursor:
            before = checkpoints.read(cursor, self._name, place)
        # Before anything is read: what is written meanwhile belongs to the next run.
        mark = self._source.mark(place)
        if before is not None and before.complete and before.mark and not self._full:
            changes = self._source.changes(place, before.mark)
            if changes is not None:
                carried.how = "changes"
                self._changes(carried, changes, checkpoints.completed(mark, before.carried))
                return
        start = before if before is not None and not before.complete and not self._full else None
        if start is not None:
            carried.how, mark = "rest", start.mark
        self._meter.begin(place, self._source.count(place), start.carried if start else 0)
        self._all(carried, start or checkpoints.reading(None, mark, 0), mark)

    def _all(self, carried: Carried, start: Progress, mark: str | None) -> None:
        place, after, done = carried.place, start.after, start.carried
        batches = self._batches(carried, self._source.records(place, after=after))
        # PostgreSQL works on one batch while the next is read and mapped.
        with _prompt(), ThreadPoolExecutor(1, thread_name_prefix="cutover-write") as writer:
            waiting: Future[Written] | None = None
            for batch, last in _with_last(batches):
                if waiting is not None:
                    carried.add(waiting.result())
                done += batch.count
                upto = None if last else batch.last
                reached = checkpoints.completed(mark, done) if last else checkpoints.reading(batch.last, mark, done)
                waiting = writer.submit(self._write, place, batch, after, upto, reached)
                after = batch.last
                self._meter.at(done)
            if waiting is not None:
                carried.add(waiting.result())
        self._meter.end()

    def _write(self, place: Place, batch: _Batch, after: str | None, upto: str | None, reached: Progress) -> Written:
        try:
            return self._written(place, batch, after, upto, reached)
        except errors.UniqueViolation:  # somebody wrote one of these records at this moment
            return self._written(place, batch, after, upto, reached, alone=False)

    def _written(
        self, place: Place, batch: _Batch, after: str | None, upto: str | None, reached: Progress,
        *, alone: bool = True,
    ) -> Written:  # fmt: skip
        # The checkpoint is lost with its batch, so only the last one has to wait for the disk.
        with self._target.transaction(place.tenant, keep=not self._dry, lasting=reached.complete) as cursor:
            target.fill(cursor, batch.lines)
            begin: str | None = after
            if alone and batch.last is not None and target.empty(cursor, place, after, batch.last):
                written = target.insert(cursor, place)
                begin = batch.last  # nothing was there before it, so nothing is gone
            else:
                written = target.upsert(cursor, place) if batch.rows else Written()
            missing = target.gone(cursor, place, begin, upto) if begin is None or begin != upto else []
            deleted = target.delete(cursor, place, self._really_gone(place, missing))
            checkpoints.write(cursor, self._name, place, reached)
        return Written(written.inserted, written.updated, deleted)

    def _changes(self, carried: Carried, changes: Iterator[Item], reached: Progress) -> None:
        place = carried.place
        self._meter.begin(place, None, 0)
        for batch in self._batches(carried, changes):
            with self._target.transaction(place.tenant, keep=not self._dry) as cursor:
                target.fill(cursor, batch.lines)
                carried.add(target.upsert(cursor, place))
            self._meter.at(carried.read)
        with self._target.transaction(place.tenant, keep=not self._dry) as cursor:
            missing = target.gone_by_keys(cursor, place, self._source.keys(place))
            carried.deleted += target.delete(cursor, place, self._really_gone(place, missing))
            checkpoints.write(cursor, self._name, place, reached)
        self._meter.end()

    def _really_gone(self, place: Place, ids: list[str]) -> list[str]:
        """While others write, a record may have come to both sides since the source was read: each is asked for."""
        return [one for one in ids if self._source.one(place, one) is None] if self._source.live else ids

    def _batches(self, carried: Carried, items: Iterator[Item]) -> Iterator[_Batch]:
        """Never none: an empty one says that there is nothing."""
        place, meaning = carried.place, self._source.meaning
        batch = _Batch()
        for item in items:
            if batch.count >= BATCH_ROWS or batch.size >= BATCH_BYTES:
                yield batch
                batch = _Batch()
            batch.count += 1
            batch.last = item.id
            carried.read += 1
            try:
                row = row_of(place.collection, item, meaning)
            except Unmappable as refused:
                self._left_out(carried, item, refused.kind, batch)
                continue
            line = target.line_of(row)
            batch.lines.append(line)
            batch.rows += 1
            batch.size += len(line)
        yield batch

    def _left_out(self, carried: Carried, item: Item, kind: Kind, batch: _Batch) -> None:
        carried.left_out += 1
        self._done.findings.add(kind, carried.place.collection, f"{carried.place}/{item.id}")
        if encodable(item.id) and "\0" not in item.id and kind is not Kind.BAD_ID:
            batch.lines.append(target.line_without_row(item.id))


@contextmanager
def _prompt() -> Iterator[None]:
    """A thread that PostgreSQL has answered is let on at once: by default it waits 5 ms for the one that maps, and that
    after each piece of a COPY."""
    before, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.set_threshold(GARBAGE)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
        gc.set_threshold(*thresholds)


def _with_last(batches: Iterator[_Batch]) -> Iterator[tuple[_Batch, bool]]:
    held: _Batch | None = None
    for batch in chain(batches, [None]):
        if held is not None:
            yield held, batch is None
        held = batch
