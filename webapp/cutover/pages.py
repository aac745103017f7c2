"""One collection of a Realtime Database, a page at a time; pages are as many records as make a few megabytes."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import orjson

from webapp.cutover.asking import Asking, TooLarge
from webapp.cutover.reader import Reader
from webapp.cutover.scan import walk
from webapp.cutover.sources import LARGEST_RECORD, Item, SourceUnreadable

FIRST_COUNT, MOST_COUNT = 200, 5_000
# What a page is to be about, and what is not read into memory. Bytes.
_AIM, _LARGEST_PAGE = 2 * 1024 * 1024, LARGEST_RECORD + 1024
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,9})")
_INT32 = 2**31


def is_number(key: str) -> bool:
    """Whether RTDB orders a key by its number ("Retrieving data": keys that can be parsed as 32-bit integers)."""
    return _NUMBER.fullmatch(key) is not None and -_INT32 <= int(key) < _INT32


def merged(*ordered: Iterator[Item]) -> Iterator[Item]:
    return heapq.merge(*ordered, key=lambda item: item.id)


class Pages:
    def __init__(self, asking: Asking, path: str) -> None:
        self._asking, self._path, self._count, self._asked = asking, path, FIRST_COUNT, 0

    def after(self, key: str | None) -> Iterator[Item]:
        """The records behind a key (None: all), in RTDB's order. Raises what Asking raises."""
        while True:
            # With startAt and one more: startAfter is younger, and not every server has it.
            start = {} if key is None else {"startAt": _json(key)}
            page = sorted(self._page({"orderBy": '"$key"', **start}, self._count + 1), key=_place)
            yield from (item for item in page if item.id != key)
            if len(page) < self._asked:
                return
            key = page[-1].id

    def changed_since(self, moment: int) -> Iterator[Item]:
        """The records whose `updated_at` is a number of at least `moment`, or a text. Raises NotIndexed too."""
        seen: set[str] = set()
        start: Any = moment
        asked = FIRST_COUNT
        while True:
            found = self._page({"orderBy": '"updated_at"', "startAt": _json(start)}, asked)
            fresh = [item for item in found if item.id not in seen]
            yield from fresh
            if len(found) < self._asked:
                return
            last = max((_updated(item) for item in found), key=_value_place)
            if last == start:
                # All of one moment, and more of it: only a larger page gets past it.
                asked = 2 * self._asked
            # Only what the next page can give again is to be remembered.
            seen = {item.id for item in found if _updated(item) == last}
            start = last

    def _page(self, query: dict[str, str], count: int) -> list[Item]:
        """Sets `_asked` to the number that was asked for in the end."""
        while True:
            self._asked = count
            try:
                with self._asking.get(self._path, {**query, "limitToFirst": str(count)}, most=_LARGEST_PAGE) as body:
                    raw = body.read()
            except TooLarge:
                if count <= 2:
                    raise SourceUnreadable(
                        f"A record at /{self._path} {query.get('startAt', 'at the beginning')} is larger than "
                        f"{LARGEST_RECORD} bytes. Divide it in the source."
                    ) from None
                count = max(2, count // 8)
                continue
            found = _items(raw)
            if found:
                fitting = _AIM * len(found) // (len(raw) + 1)
                self._count = max(2, min(MOST_COUNT, fitting, 4 * self._count))
            return found


def _items(raw: bytes) -> list[Item]:
    reader = Reader(BytesIO(raw), 0, largest=LARGEST_RECORD)
    first = reader.peek()
    if first not in b"{[":
        return []
    found = list(walk(reader, array=first == 0x5B))
    if not reader.nothing_left():
        raise SourceUnreadable("The source's answer goes on after its end.")
    return [item._replace(at=-1) for item in found]


def _place(item: Item) -> tuple[int, int, str]:
    return (0, int(item.id), "") if is_number(item.id) else (1, 0, item.id)


def _updated(item: Item) -> Any:
    return item.value.get("updated_at") if isinstance(item.value, dict) else None


def _value_place(value: Any) -> tuple[int, Any]:
    """RTDB's order of values: numbers, then texts, then the rest."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 1, value
    return (2, value) if isinstance(value, str) else (0, 0)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
