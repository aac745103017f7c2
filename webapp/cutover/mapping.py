"""A record as the source has it -> the row of the table `records`, or why it cannot be one. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from webapp.cutover.domain import EXACT, FIRST_MILLIS, FORBIDDEN, SETTINGS, KeyUnfit, exact_body, millis_of, refuse_key
from webapp.cutover.findings import Kind
from webapp.cutover.meaning import has_long_number, read_json, write_json
from webapp.cutover.sources import Item

# Comparing walks a record by recursion; PostgreSQL itself would take some thousands of levels.
DEEPEST = 200
# Bytes of a record, and characters of an id, for which no limit has to be looked at.
_ORDINARY, _SHORT = 2 * DEEPEST, 200
_FAR = 8_640_000_000_000_000
_OWN = ("id", "created_at", "updated_at")
Meaning = Callable[[bytes], Any]


class Row(NamedTuple):
    """`body`: compact JSON, without `id`, `created_at` and `updated_at`; times in milliseconds, None where absent."""

    id: str
    body: bytes
    created_at: int | None
    updated_at: int | None


class Unmappable(ValueError):
    """The record cannot be a row; `kind` says why."""

    def __init__(self, kind: Kind, detail: str = "") -> None:
        super().__init__(f"{kind.code}: {detail or kind.words}")
        self.kind, self.detail = kind, detail


class Fields(NamedTuple):
    """The same, with the body as a value."""

    body: dict[str, Any]
    created_at: int | None
    updated_at: int | None


def row_of(collection: str, item: Item, meaning: Meaning) -> Row:
    """Raises Unmappable. What `item.value` holds is used up."""
    if collection != SETTINGS:
        fields = quick_fields(item)
        if fields is not None and not FORBIDDEN.search(item.id) and 0 < len(item.id) < _SHORT and item.id.isascii():
            return Row(item.id, write_json(fields.body), fields.created_at, fields.updated_at)
    return row_with(collection, item.id, body_of(collection, item, meaning))


def quick_fields(item: Item) -> Fields | None:
    """The fields of an ordinary record of a collection, in a fraction of the time; None for every other, which is for
    `body_of` and `fields_of`. Whether its id is a good one is not looked at. What `item.value` holds is used up."""
    raw, value = item.raw, item.value
    if raw is None or type(value) is not dict or EXACT in value or len(raw) > _ORDINARY:
        return None
    # 400 bytes are no 200 levels; what else would need care shows in the bytes. Where a source leaves them out, all is
    # well.
    if raw and (b"\\u0000" in raw or has_long_number(raw)):
        return None
    created_at, updated_at = value.get("created_at"), value.get("updated_at")
    for moment in (created_at, updated_at):
        if moment is not None and not (type(moment) is int and FIRST_MILLIS <= moment < _FAR):
            return None
    value.pop("id", None)
    value.pop("created_at", None)
    value.pop("updated_at", None)
    return Fields(value, created_at, updated_at)


def row_with(collection: str, record_id: str, body: dict[str, Any]) -> Row:
    """The row of a body that `body_of` gave, which is used up. Raises Unmappable."""
    fields = fields_of(collection, body)
    try:
        return Row(record_id, write_json(fields.body), fields.created_at, fields.updated_at)
    except ValueError as error:
        raise Unmappable(Kind.UNREADABLE, str(error)) from None


def fields_of(collection: str, body: dict[str, Any]) -> Fields:
    """Of a body that `body_of` gave, which is used up. Raises Unmappable."""
    if collection == SETTINGS:
        return Fields(body, None, None)
    body.pop("id", None)
    return Fields(body, _moment(body.pop("created_at", None)), _moment(body.pop("updated_at", None)))


def body_of(collection: str, item: Item, meaning: Meaning) -> dict[str, Any]:
    """The record's fields as they were given, with `id` and times among them. Raises Unmappable."""
    raw = item.raw
    if raw is None:
        raise Unmappable(Kind.OVERSIZED)
    try:
        refuse_key(item.id)
    except KeyUnfit as error:
        raise Unmappable(Kind.BAD_ID, str(error)) from None
    # A level takes two bytes at least.
    if len(raw) > 2 * DEEPEST and raw.count(b"{") + raw.count(b"[") > DEEPEST and depth_of(raw) > DEEPEST:
        raise Unmappable(Kind.TOO_DEEP)
    try:
        value = meaning(raw) if item.value is None else read_json(raw, item.value)
    except ValueError as error:
        raise Unmappable(Kind.UNREADABLE, str(error)) from None
    if isinstance(value, list):
        value = exact_body(value)
    elif not isinstance(value, dict):
        raise Unmappable(Kind.NOT_AN_OBJECT)
    elif EXACT in value:
        value = exact_body(value) if collection == SETTINGS else _exact(value)
    if b"\\u0000" in raw and has_nul(value):
        raise Unmappable(Kind.NUL)
    body: dict[str, Any] = value
    return body


def _exact(value: dict[str, Any]) -> dict[str, Any]:
    """`_exact` speaks of the body alone, without what the store adds."""
    own = {name: value.pop(name) for name in _OWN if name in value}
    return {**exact_body(value), **own}


def depth_of(raw: bytes) -> int:
    """How deep a JSON text is nested; braces within texts count where they do not close."""
    deepest = depth = 0
    inside = escaped = False
    for byte in raw:
        if inside:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                inside = False
        elif byte == 0x22:
            inside = True
        elif byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


def has_nul(value: Any) -> bool:
    """Whether U+0000 is in any text or name of a value."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.keys()
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str) and "\0" in item:
            return True
    return False


def _moment(value: Any) -> int | None:
    if value is None:
        return None
    found = millis_of(value)
    if found is None:
        raise Unmappable(Kind.BAD_TIME)
    return found
