"""Looking into every record for what does not map, with memory that does not grow with their number."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Any

from webapp.cutover.domain import FIRST_MILLIS, FORBIDDEN, millis_of, times_of
from webapp.cutover.findings import Findings, Kind
from webapp.cutover.mapping import Meaning, Unmappable, body_of, depth_of, row_with
from webapp.cutover.sources import Item, Place
from webapp.cutover.spool import Spool
from webapp.fields import LARGEST_EXACT
from webapp.redaction import names_a_secret

# The API's own limits (webapp.bodies, the contract): what is beyond can be read, not written as a whole.
LARGE = 1024 * 1024
DEEP = 64
# Fields of a collection whose types are remembered. Objects with ids as names would make any number of them.
MOST_FIELDS = 2_000
_LONG_FRACTION = re.compile(rb"[0-9]\.?[0-9]{17}")
_DECIMAL = re.compile(rb"(?<=[:,\[ ])-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?=[,}\] \r\n])")
_MOMENTS = ("created_at", "updated_at")
_TYPES = {str: "text", bool: "boolean", int: "number", float: "number", dict: "object", list: "array"}


class Inspector:
    """Of one collection of one tenant. `allowed`: the paths under which plain secrets may stand
    (`records.resources.licenses.token`)."""

    def __init__(self, place: Place, findings: Findings, allowed: frozenset[str] = frozenset()) -> None:
        self._findings, self._allowed, self._place = findings, allowed, place
        self._collection, self._dotted = place.collection, "records." + place.collection.replace("/", ".")
        self._times = times_of(place.collection)
        self._types: dict[str, dict[str, int]] = {}
        self._notations: dict[str, dict[str, int]] = {}
        self._ids = Spool()
        self._path = ""

    def see(self, item: Item, meaning: Meaning) -> bool:
        """Whether the record can be a row."""
        self._path = f"{self._place}/{item.id}"
        try:
            body = body_of(self._collection, item, meaning)
            self._look(item, body)
            row_with(self._collection, item.id, body)
        except Unmappable as refused:
            self._found(refused.kind, detail=refused.detail)
            return False
        return True

    def end(self) -> None:
        """After the last record: what only all of them together show."""
        for name, types in self._types.items():
            if len(types) > 1:
                self._of_field(Kind.MIXED_TYPES, name, types)
        for name, notations in self._notations.items():
            if name in _MOMENTS:
                if set(notations) - {"milliseconds"}:
                    self._of_field(Kind.MOMENT_NOTATION, name, notations)
            elif len(notations) > 1:
                self._of_field(Kind.TIME_NOTATIONS, name, notations)
        self._similar_ids()

    def _look(self, item: Item, body: dict[str, Any]) -> None:
        raw = item.raw or b""
        folded = item.id.casefold() if item.id.isascii() else unicodedata.normalize("NFC", item.id).casefold()
        self._ids.add((folded, item.id))
        if len(raw) > LARGE:
            self._found(Kind.LARGE)
        if raw.count(b"{") + raw.count(b"[") > DEEP and depth_of(raw) > DEEP:
            self._found(Kind.DEEP)
        if raw[:1] == b"[":
            self._found(Kind.ARRAY_OF_RECORDS)
        if _LONG_FRACTION.search(raw) and any(map(_rounded, _DECIMAL.findall(raw))):
            self._found(Kind.LONG_FRACTION)
        if body.get("id", item.id) != item.id:
            self._found(Kind.ID_DIFFERS)
        self._walk(body)

    def _walk(self, body: dict[str, Any]) -> None:
        waiting: list[tuple[str, str, Any]] = [("", "", body)]
        while waiting:
            path, name, value = waiting.pop()
            kind = type(value)
            if path:
                self._typed(path, _TYPES.get(kind, "null"))
            if kind is dict:
                for key, inner in value.items():
                    if FORBIDDEN.search(key) or not key:
                        self._found(Kind.ODD_KEY, path)
                    waiting.append((f"{path}.{key}" if path else key, key, inner))
            elif kind is list:
                if None in value:
                    self._found(Kind.HOLES, path)
                waiting += [(path + "[]", name, inner) for inner in value]
            elif kind is str:
                self._text(path, name, value)
            elif kind is int and not -LARGEST_EXACT <= value <= LARGEST_EXACT:
                self._found(Kind.LARGE_NUMBER, path)
            if value is not None and (name in self._times or name.endswith("_at")):
                self._time(path, value)

    def _text(self, path: str, name: str, value: str) -> None:
        if value and names_a_secret(name) and f"{self._dotted}.{path.replace('[]', '')}" not in self._allowed:
            self._found(Kind.SECRET, path)
        if not value.isascii() and not unicodedata.is_normalized("NFC", value):
            self._found(Kind.NOT_NORMAL, path)

    def _time(self, path: str, value: Any) -> None:
        if isinstance(value, dict | list | bool):
            return
        if millis_of(value) is None:
            if path in _MOMENTS:
                return  # no row, and so a finding by itself
            notation = "no time"
        elif isinstance(value, str):
            notation = "RFC 3339"
        else:
            notation = "seconds" if abs(value) < FIRST_MILLIS else "milliseconds"
        self._count(self._notations, path, notation)

    def _typed(self, path: str, kind: str) -> None:
        if kind != "null":
            self._count(self._types, path, kind)

    def _count(self, table: dict[str, dict[str, int]], path: str, what: str) -> None:
        seen = table.get(path)
        if seen is None:
            if len(table) >= MOST_FIELDS:
                return
            seen = table[path] = {}
        seen[what] = seen.get(what, 0) + 1

    def _similar_ids(self) -> None:
        before: tuple[str, str] | None = None
        for folded, record_id in self._ids.entries():
            if before and before[0] == folded and before[1] != record_id:
                same = unicodedata.normalize("NFC", before[1]) == unicodedata.normalize("NFC", record_id)
                kind = Kind.SAME_BUT_FORM if same else Kind.SAME_BUT_CASE
                self._findings.add(kind, self._collection, f"{self._place}/{before[1]} and {record_id}")
            before = (folded, record_id)

    def _found(self, kind: Kind, name: str = "", *, detail: str = "") -> None:
        example = f"{self._path}.{name}" if name else self._path
        self._findings.add(kind, self._collection, example, name=name, detail=detail)

    def _of_field(self, kind: Kind, name: str, counts: dict[str, int]) -> None:
        detail = ", ".join(f"{what} {count}" for what, count in sorted(counts.items()))
        example = f"{self._place}: {name}"
        self._findings.add(kind, self._collection, example, name=name, count=sum(counts.values()), detail=detail)


def _rounded(digits: bytes) -> bool:
    text = digits.decode()
    if "." not in text and "e" not in text.lower():
        return False  # an integer is exact whatever its length
    return Decimal(text) != Decimal(float(text)) and Decimal(text) != Decimal(repr(float(text)))
