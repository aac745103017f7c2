"""Rows of the table `records` in the order of their ids, a page at a time, as fast as they can be had."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from webapp.cutover.meaning import has_long_number, read_json
from webapp.cutover.sources import Place
from webapp.cutover.target import Target

FIRST_PAGE, LARGEST_PAGE = 500, 5_000
# What a page is to be about. Bytes.
_AIM = 2 * 1024 * 1024
# One JSON text a page: it is read by one call, where rows would be made one by one.
_PAGE = """
SELECT convert_to(coalesce(json_agg(json_build_array(id, body, created_at, updated_at))::text, '[]'), 'UTF8') FROM (
    SELECT id, body, created_at, updated_at FROM records
    WHERE tenant_id = %(tenant)s AND collection = %(collection)s AND id > %(after)s
    AND (%(upto)s::text IS NULL OR id <= %(upto)s) ORDER BY id LIMIT %(count)s) page
"""
_ONE = """
SELECT convert_to(json_build_array(id, body, created_at, updated_at)::text, 'UTF8') FROM records
WHERE tenant_id = %(tenant)s AND collection = %(collection)s AND id = %(id)s
"""


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
            cursor.execute(_PAGE, {**where, "after": reached, "count": count}, binary=True)
            [raw] = cursor.fetchone() or [b"[]"]
        page = _read(raw)
        for row in page:
            yield Side(*row)
        if len(page) < count:
            return
        reached = page[-1][0]
        count = max(1, min(LARGEST_PAGE, _AIM * len(page) // len(raw), 4 * count))


def row_of_id(target: Target, place: Place, record_id: str) -> Side | None:
    with target.transaction(place.tenant) as cursor:
        cursor.execute(_ONE, {"tenant": place.tenant, "collection": place.collection, "id": record_id}, binary=True)
        found = cursor.fetchone()
    return Side(*_read(found[0])) if found else None


def _read(raw: bytes) -> list[Any]:
    found: list[Any] = read_json(raw) if has_long_number(raw) else orjson.loads(raw)
    return found
