"""Lists of records in memory, for a store that cannot search: the same pages that PostgreSQL makes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from webapp.listing import Page
from webapp.records.record import Record, name_of, searched, text_of

FILTERS = ("status", "type")
SORTABLE: Mapping[str, Callable[[Record], Any]] = {
    "created_at": lambda record: record.created_at,
    "updated_at": lambda record: record.updated_at,
    "id": lambda record: record.id,
    "name": name_of,
    "status": lambda record: text_of(record.body, "status"),
}


def page_of(records: Sequence[Record], asked: Mapping[str, Any]) -> Page:
    """One page of them. What has no value to sort by comes after what has, as it does in PostgreSQL."""
    found = [record for record in records if _wanted(record, asked)]
    value = SORTABLE[asked["sort"]]

    def place(record: Record) -> tuple[Any, ...]:
        by = value(record)
        return (by is None, 0 if by is None else by, record.id)

    found.sort(key=place, reverse=asked["order"] == "desc")
    start = (asked["page"] - 1) * asked["limit"]
    return Page(found[start : start + asked["limit"]], len(found), asked["page"], asked["limit"])


def _wanted(record: Record, asked: Mapping[str, Any]) -> bool:
    if any(name in asked and text_of(record.body, name) != asked[name] for name in FILTERS):
        return False
    words = asked.get("q")
    return not words or words.lower() in searched(record).lower()
