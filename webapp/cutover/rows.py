"""Rows of the table `records` in the order of their ids, a page at a time, as fast as they can be had."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from webapp.cutover.meaning import has_long_number, read_json
from webapp.cutover.sources import Place
from webapp.cutover.target import Cursor, Target

FIRST_PAGE, LARGEST_PAGE = 500, 5_000
# What a page is to be about. Bytes.
_AIM = 2 * 1024 * 1024
# Settings that are empty are none: RTDB keeps no empty object.
_THERE = "(collection <> 'settings' OR body <> '{}')"
# One JSON text a page: it is read by one call, where rows would be made one by one. Put together by hand, as
# json_build_array takes half as long again.
_ROW = """concat('[', to_json(id)::text, ',', body::text, ',', coalesce(created_at::text, 'null'), ',',
    coalesce(updated_at::text, 'null'), ']')"""
_PAGE = f"""
SELECT coalesce('[' || string_agg({_ROW}, ',') || ']', '[]') FROM (
    SELECT id, body, created_at, updated_at FROM records
    WHERE tenant_id = %(tenant)s AND collection = %(collection)s AND id > %(after)s
    AND (%(upto)s::text IS NULL OR id <= %(upto)s) AND {_THERE} ORDER BY id LIMIT %(count)s) page
"""  # noqa: S608 - no value is in it
_ONE = f"""
SELECT {_ROW} FROM records WHERE tenant_id = %(tenant)s AND collection = %(collection)s AND id = %(id)s
AND {_THERE}
"""  # noqa: S608 - no value is in it


class Side(NamedTuple):
    """A record as one side has it."""

    id: str
    body: dict[str, Any]
    created_at: int | None
    updated_at: int | None


def read_rows(target: Target, place: Place, *, after: str | None, upto: str | None) -> Iterator[Side]:
    """The rows with `after` < id <= `upto`, ascending. Raises psycopg.Error."""
    count = FIRST_PAGE
    where = {"tenant": place.tenant, "collection": place.collection, "upto": upto}
    reached = after or ""  # no id is empty
    while True:
        with target.transaction(place.tenant) as cursor:
            cursor.execute(_PAGE, {**where, "after": reached, "count": count})
            raw = _bytes(cursor) or b"[]"
        page = _read(raw)
        yield from map(Side._make, page)
        if len(page) < count:
            return
        reached = page[-1][0]
        count = max(1, min(LARGEST_PAGE, _AIM * len(page) // len(raw), 4 * count))


def row_of_id(target: Target, place: Place, record_id: str) -> Side | None:
    with target.transaction(place.tenant) as cursor:
        cursor.execute(_ONE, {"tenant": place.tenant, "collection": place.collection, "id": record_id})
        raw = _bytes(cursor)
    return Side(*_read(raw)) if raw else None


def _bytes(cursor: Cursor) -> bytes | None:
    """The one value of an answer as it came, which is UTF-8: to make a text of it first is time for nothing."""
    result = cursor.pgresult
    return result.get_value(0, 0) if result is not None and result.ntuples else None


def _read(raw: bytes) -> list[Any]:
    found: list[Any] = read_json(raw) if has_long_number(raw) else orjson.loads(raw)
    return found
