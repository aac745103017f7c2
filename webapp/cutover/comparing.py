"""Both sides of a collection, or a piece of one, read in the order of ids and compared record by record.

Equal values have equal canonical forms, so where both sides are the same text once their keys are sorted, the digests
are, too, and are not computed. Only else both canonical forms are made, and compared by SHA-256.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from webapp.cutover.agreed import Loosening
from webapp.cutover.domain import SETTINGS, canonical, digest, times_of
from webapp.cutover.findings import Kind, printable
from webapp.cutover.mapping import Unmappable, body_of, fields_of, quick_fields
from webapp.cutover.meaning import write_json
from webapp.cutover.rows import Side, read_rows, row_of_id
from webapp.cutover.sources import Item, Place, Source
from webapp.cutover.target import Target
from webapp.fields import LARGEST_EXACT
from webapp.redaction import redact, redact_text

# Kept to be looked at again, or shown; beyond, records are only counted.
MOST_SUSPECTS, MOST_SHOWN, MOST_FIELDS = 10_000, 20, 1_000
_MOST_PATHS = 20
_LONGEST_VALUE = 120
_SORTED = orjson.OPT_SORT_KEYS


class Piece(NamedTuple):
    """A collection's records with `after` < id <= `upto`."""

    place: Place
    after: str | None = None
    upto: str | None = None


@dataclass(frozen=True)
class Difference:
    """Of one record. `what`: only in the source, only here, differs, or unmappable; `fields`: path -> both values,
    redacted."""

    id: str
    what: str
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)


MISSING, EXTRA, DIFFERS, TOLERATED = "only in the source", "only here", "differs", "differs where it may"
UNMAPPABLE = "can be no row"


@dataclass
class Compared:
    """`source`, `target`: how many records each side has; `counts` of the unequal ones, by what they are; `fields`: how
    many records differ there; `differences`: the first of them; `suspects`: ids to be looked at again; `settled`: those
    that were equal then."""

    place: Place
    source: int = 0
    target: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    fields: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    suspects: list[tuple[str, str]] = field(default_factory=list)
    settled: int = 0

    @property
    def unequal(self) -> int:
        return sum(self.counts.values()) - self.counts.get(TOLERATED, 0)

    def note(self, found: Difference, allowed: Loosening) -> None:
        what = found.what
        if what == DIFFERS and not any(allowed.agreed(self.place.collection, path) for path in found.fields):
            what = TOLERATED
        self.counts[what] = self.counts.get(what, 0) + 1
        for path in found.fields:
            if path in self.fields or len(self.fields) < MOST_FIELDS:
                self.fields[path] = self.fields.get(path, 0) + 1
        if len(self.differences) < MOST_SHOWN:
            self.differences.append(found)
        if len(self.suspects) < MOST_SUSPECTS:
            self.suspects.append((found.id, what))

    def join(self, other: Compared) -> None:
        """What another piece of the same collection brought."""
        self.source += other.source
        self.target += other.target
        for mine, theirs in ((self.counts, other.counts), (self.fields, other.fields)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        self.differences = (self.differences + other.differences)[:MOST_SHOWN]
        self.suspects = (self.suspects + other.suspects)[:MOST_SUSPECTS]


def compare(source: Source, target: Target, piece: Piece, allowed: Loosening) -> Compared:
    """Raises SourceError, psycopg.Error."""
    made = Compared(piece.place)
    times = times_of(piece.place.collection)
    for record_id, here, there in _pairs(source, target, piece, made):
        found = judged(record_id, here, there, times)
        if found is not None:
            made.note(found, allowed)
    return made


def judged(record_id: str, here: Side | str | None, there: Side | None, times: frozenset[str]) -> Difference | None:
    """Of the source's side (a text says why it can be no row) and the table's; None where they are the same."""
    if isinstance(here, str):
        return Difference(record_id, UNMAPPABLE, {here: (None, None)})
    if here is None or there is None:
        return None if here is there else Difference(record_id, EXTRA if here is None else MISSING)
    dated = here.created_at == there.created_at and here.updated_at == there.updated_at
    if dated and _text(here.body) == _text(there.body):
        return None
    try:
        mine, theirs = decimal(here.body), decimal(there.body)
        # Both times are milliseconds by now: the canonical form would take small ones for seconds.
        if dated and digest(mine, times) == digest(theirs, times):
            return None
    except (ValueError, RecursionError):
        return Difference(record_id, UNMAPPABLE, {Kind.TOO_DEEP.code: (None, None)})
    one, other = (
        {**canonical(body, times), "created_at": side.created_at, "updated_at": side.updated_at}
        for body, side in ((mine, here), (theirs, there))
    )
    return Difference(record_id, DIFFERS, dict(_differing(one, other)))


def look_again(source: Source, target: Target, place: Place, record_id: str) -> tuple[Difference | None, bool]:
    """One record as both sides have it now, and whether any has it."""
    item = source.one(place, record_id)
    here = _side(place, source, item) if item is not None else None
    there = row_of_id(target, place, record_id)
    return judged(record_id, here, there, times_of(place.collection)), here is not None or there is not None


def _pairs(
    source: Source, target: Target, piece: Piece, made: Compared
) -> Iterator[tuple[str, Side | str | None, Side | None]]:
    place = piece.place
    quick = place.collection != SETTINGS
    rows = read_rows(target, place, after=piece.after, upto=piece.upto)
    row = next(rows, None)
    for item in source.values(place, after=piece.after, upto=piece.upto):
        record_id = item.id
        made.source += 1
        while row is not None and row.id < record_id:
            made.target += 1
            yield row.id, None, row
            row = next(rows, None)
        if row is not None and row.id == record_id:
            made.target += 1
            fields = quick_fields(item) if quick else None
            yield record_id, _side(place, source, item) if fields is None else Side(record_id, *fields), row
            row = next(rows, None)
        else:
            yield record_id, _side(place, source, item), None
    while row is not None:
        made.target += 1
        yield row.id, None, row
        row = next(rows, None)


def _side(place: Place, source: Source, item: Item) -> Side | str:
    try:
        if item.raw == b"":
            item = item._replace(raw=write_json(item.value))
    except ValueError:
        return Kind.TOO_DEEP.code
    try:
        return Side(item.id, *fields_of(place.collection, body_of(place.collection, item, source.meaning)))
    except Unmappable as refused:
        return refused.kind.code


def _text(body: Any) -> bytes | None:
    try:
        return orjson.dumps(body, option=_SORTED)
    except TypeError:
        return repr(sorted(body.items())).encode()  # with an integer beyond 64 bits; as good a text as any


def decimal(value: Any) -> Any:
    """The value with each float beyond 2^53 as the integer that its shortest text says: jsonb keeps numbers as decimal
    digits, and gives 1.8446744073709552e19 back as 18446744073709552000, which is not the double's own integer."""
    if isinstance(value, dict):
        return {name: decimal(item) for name, item in value.items()}
    if isinstance(value, list):
        return [decimal(item) for item in value]
    return int(Decimal(repr(value))) if isinstance(value, float) and abs(value) > LARGEST_EXACT else value


def _differing(one: Any, other: Any, path: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """The paths at which two canonical values differ, the first of them, with what may be shown of both."""
    count = 0
    waiting = [(path, one, other)]
    while waiting:
        at, mine, theirs = waiting.pop()
        if count == _MOST_PATHS:
            yield "…", (None, None)
            return
        if isinstance(mine, dict) and isinstance(theirs, dict):
            names = sorted({*mine, *theirs}, reverse=True)
            waiting += [(f"{at}.{name}" if at else name, mine.get(name), theirs.get(name)) for name in names]
        elif type(mine) is not type(theirs) or mine != theirs:
            count += 1
            name = at.rpartition(".")[2]
            yield printable(redact_text(at)), (_shown(mine, name), _shown(theirs, name))


def _shown(value: Any, name: str) -> Any:
    text = write_json(redact(value, name=name)).decode()
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"
