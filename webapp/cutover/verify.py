"""Parity: every record of a source against its row, by two processes side by side, in memory that does not grow."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from uuid import UUID

from webapp.cutover.agreed import Loosening
from webapp.cutover.carrying_back import Changed
from webapp.cutover.comparing import EXTRA, MISSING, MOST_SUSPECTS, Compared, Difference, Piece, compare, look_again
from webapp.cutover.domain import COLLECTIONS, SETTINGS
from webapp.cutover.progress import Meter
from webapp.cutover.sources import Place, Source
from webapp.cutover.target import Target
from webapp.variables import DatabaseUrl

PROCESSES = 2
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
# A collection is divided where its pieces have at least so many records: less is not worth a process's turn.
PIECE_RECORDS = 20_000
# Records that differ are looked at again so often, with so many seconds in between: a write that goes to both sides
# is on the second one within a fraction of that.
LOOKS, LOOK_SECONDS = 3, 1.0


@dataclass
class Parity:
    """What `verify` found. `seconds`: how long it took, looking again included."""

    source: str
    loosened: Loosening
    collections: list[Compared] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def records(self) -> int:
        return sum(one.source for one in self.collections)

    def unequal(self, domain: str) -> int:
        """Records of a domain that differ in an agreed field, are on one side only, or can be no rows."""
        found = (one for one in self.collections if one.place.collection.partition("/")[0] == domain)
        return sum(one.unequal for one in found)

    @property
    def reasons(self) -> list[str]:
        """Why it is no go; none where it is one."""
        domains = sorted({one.place.collection.partition("/")[0] for one in self.collections})
        said = []
        for domain in domains:
            count, most = self.unequal(domain), self.loosened.thresholds.get(domain, 0)
            if count > most:
                said.append(f"{domain}: {count:,} records are not equal; {most:,} may be")
        return said

    @property
    def go(self) -> bool:
        return not self.reasons


# Records are made by the million and hold no cycles: to look for those after every 700, as Python does, takes a third
# of the time.
GARBAGE = 50_000

# What forked processes find: a source may hold a secret, which cannot be sent to them.
_shared: dict[str, tuple[Source, DatabaseUrl, Loosening]] = {}
_mine: list[tuple[Source, Target]] = []


def verify(
    source: Source, url: DatabaseUrl, meter: Meter, *, loosened: Loosening, tenants: frozenset[UUID] = frozenset(),
    changed: frozenset[Changed] = frozenset(), processes: int = PROCESSES, pause: Callable[[float], None] = time.sleep,
) -> Parity:  # fmt: skip
    """Writes nothing. `changed`: records that may differ, because they were written on one side alone; they are counted
    as settled.

    Raises SourceError, psycopg.Error.
    """
    began = time.monotonic()
    made = Parity(source.name, loosened)
    target = Target(url)
    try:
        places = _places(source, target, tenants)
        made.collections = [Compared(place) for place in places]
        by_place = {one.place: one for one in made.collections}
        for found in _compared((source, url, loosened), list(_pieces(source, places, processes)), processes, meter):
            by_place[found.place].join(found)
        if source.live:
            for one in made.collections:
                _excuse(one, changed, loosened)
                _settle(one, source, target, loosened, pause)
    finally:
        target.close()
    made.seconds = time.monotonic() - began
    return made


def _places(source: Source, target: Target, tenants: frozenset[UUID]) -> list[Place]:
    """Collections that either side has."""
    there = {place for place in source.places() if not tenants or place.tenant in tenants}
    for tenant in tenants or target.tenants():
        for collection in (*COLLECTIONS, SETTINGS):
            with target.transaction(tenant) as cursor:
                asked = "SELECT 1 FROM records WHERE tenant_id = %s AND collection = %s LIMIT 1"
                if cursor.execute(asked, (tenant, collection)).fetchone():
                    there.add(Place(tenant, collection))
    return sorted(there)


def _pieces(source: Source, places: list[Place], processes: int) -> Iterator[Piece]:
    for place in places:
        count = source.count(place) or 0
        cuts = source.cuts(place, min(4 * processes, count // PIECE_RECORDS)) if count >= 2 * PIECE_RECORDS else []
        for after, upto in zip([None, *cuts], [*cuts, None], strict=True):
            yield Piece(place, after, upto)


def _compared(
    shared: tuple[Source, DatabaseUrl, Loosening], pieces: list[Piece], processes: int, meter: Meter
) -> Iterator[Compared]:
    meter.begin_all("verify", sum(shared[0].count(place) or 0 for place in {piece.place for piece in pieces}))
    _shared["verify"] = shared
    done = 0
    try:
        # Forked, so that each has the source as it is; no thread of ours runs at this moment.
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(processes, mp_context=context, initializer=_end_with_the_parent) as pool:
            for found in pool.map(_piece, pieces):
                done += found.source
                meter.at(done)
                yield found
    finally:
        _shared.clear()
    meter.end()


def _end_with_the_parent() -> None:
    """A parent that is killed takes nobody with it: its children would wait for work for ever, and hold what they were
    forked with, such as the connection whose lock says that a cutover is at work."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _piece(piece: Piece) -> Compared:
    """In a process of its own."""
    source, url, loosened = _shared["verify"]
    if not _mine:
        gc.freeze()
        gc.set_threshold(GARBAGE)
        _mine.append((source.apart(), Target(url)))
    return compare(*_mine[0], piece, loosened)


def _excuse(one: Compared, changed: frozenset[Changed], loosened: Loosening) -> None:
    """Takes out those that may differ. Where there are too many to be known one by one, all that differ count."""
    if not changed or len(one.suspects) >= MOST_SUSPECTS:
        return
    place, shown = one.place, {found.id: found for found in one.differences}
    kept = [known for known in one.suspects if (place.tenant, place.collection, known[0]) not in changed]
    one.settled += len(one.suspects) - len(kept)
    one.counts, one.fields, one.differences, one.suspects = {}, {}, [], []
    for record_id, what in kept:
        one.note(shown.get(record_id, Difference(record_id, what)), loosened)


def _settle(one: Compared, source: Source, target: Target, loosened: Loosening, pause: Callable[[float], None]) -> None:
    """Looks again at what differed: a record that was changed meanwhile may be the same on both sides by now. So many
    that they cannot all be in flight are left as they are."""
    suspects = one.suspects
    if not suspects or len(suspects) >= MOST_SUSPECTS:
        return
    for _ in range(LOOKS):
        pause(LOOK_SECONDS)
        still: list[tuple[str, str]] = []
        found: list[Difference] = []
        for record_id, what in suspects:
            difference, there = look_again(source, target, one.place, record_id)
            if difference is None:
                _settled(one, what, there)
            else:
                still.append((record_id, what))
                found.append(difference)
        suspects = still
        if not suspects:
            break
    one.counts, one.fields, one.differences, one.suspects = {}, {}, [], []
    for difference in found:
        one.note(difference, loosened)


def _settled(one: Compared, what: str, there: bool) -> None:
    """A record that was on one side is on both now, or on none."""
    one.settled += 1
    if what == MISSING:
        one.target, one.source = one.target + there, one.source - (not there)
    elif what == EXTRA:
        one.source, one.target = one.source + there, one.target - (not there)
