"""A live Realtime Database as a source, by its REST protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar
from urllib.parse import quote

from webapp.cutover.asking import Asking, NotIndexed
from webapp.cutover.catalogue import MOST_STRAYS
from webapp.cutover.domain import SETTINGS, path_of
from webapp.cutover.layout import TREE_ID, Kind, kind_of, tenant_of
from webapp.cutover.meaning import read_json
from webapp.cutover.pages import Pages, is_number, merged
from webapp.cutover.reader import Reader
from webapp.cutover.scan import walk
from webapp.cutover.sources import LARGEST_RECORD, Item, Place, Source, SourceUnreadable, Stray
from webapp.cutover.spool import Spool

# Clocks of those who write may be behind ours by this much: changes are asked for from so long before.
OVERLAP_MILLIS = 5 * 60 * 1000


class RtdbRest:
    """`root`: the keys above `tenants`. `now`: milliseconds since the epoch.

    RTDB's ETags say whether a place has changed only to whoever reads all of it, and if-match is for writes: to find
    changes, records are asked for by `updated_at`, which needs `".indexOn": "updated_at"` in the rules.
    """

    def __init__(
        self, asking: Asking, url: str, root: tuple[str, ...] = (), *,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:  # fmt: skip
        self._asking, self._url, self._root, self._now = asking, url, root, now
        self._counts: dict[Place, int] = {}
        self._strays: list[Stray] = []
        self._stray_count = 0

    live: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return f"rtdb:{self._url}/{'/'.join(self._root)}"

    def places(self) -> list[Place]:
        self._strays, self._stray_count = [], 0
        found: list[Place] = []
        self._enter((), found)
        return sorted(found)

    def strays(self) -> list[Stray]:
        return self._strays

    def stray_count(self) -> int:
        return self._stray_count

    def count(self, place: Place) -> int | None:
        if place.collection == SETTINGS:
            return 1
        if place not in self._counts:
            self._counts[place] = sum(1 for _ in self.keys(place))
        return self._counts[place]

    def records(self, place: Place, *, after: str | None = None, upto: str | None = None) -> Iterator[Item]:
        if place.collection == SETTINGS:
            tree = self.one(place, TREE_ID)
            found: Iterator[Item] = iter([tree] if tree else [])
        else:
            found = self._ordered(place, after)
        for item in found:
            if upto is not None and item.id > upto:
                return
            if after is None or item.id > after:
                yield item

    def values(self, place: Place, *, after: str | None = None, upto: str | None = None) -> Iterator[Item]:
        return self.records(place, after=after, upto=upto)

    def keys(self, place: Place) -> Iterator[str]:
        if place.collection == SETTINGS:
            yield TREE_ID
            return
        yield from self._names(self._path(place))

    def one(self, place: Place, record_id: str) -> Item | None:
        path = self._path(place) if place.collection == SETTINGS else self._path(place, record_id)
        with self._asking.get(path) as body:
            raw = body.read(LARGEST_RECORD + 1)
        if raw.strip() == b"null":
            return None
        return Item(record_id, raw if len(raw) <= LARGEST_RECORD else None)

    def mark(self, place: Place) -> str | None:
        return None if place.collection == SETTINGS else str(self._now() - OVERLAP_MILLIS)

    def changes(self, place: Place, since: str) -> Iterator[Item] | None:
        try:
            return self._changed(place, int(since))
        except NotIndexed:
            return None

    def cuts(self, place: Place, pieces: int) -> list[str]:
        return []  # the network is what one waits for

    def apart(self) -> Source:
        return RtdbRest(self._asking.again(), self._url, self._root, now=self._now)

    def meaning(self, raw: bytes) -> Any:
        return read_json(raw)

    def _path(self, place: Place, *keys: str) -> str:
        return path_of(self._root, place.tenant, place.collection, *keys)

    def _enter(self, path: tuple[str, ...], found: list[Place]) -> None:
        """What is beneath a path above the collections. Those are no paths of records, and no record's id is in one."""
        for key in self._names("/".join(quote(key, safe="") for key in path)):
            inner = (*path, key)
            match kind_of(inner, self._root):
                case Kind.STRAY:
                    self._stray_count += 1
                    if len(self._strays) < MOST_STRAYS:
                        self._strays.append(Stray("/".join(inner)))
                case Kind.ENTER:
                    self._enter(inner, found)
                case _:
                    below = inner[len(self._root) + 1 :]
                    tenant = tenant_of(below[0])
                    if tenant is not None:
                        found.append(Place(tenant, "/".join(below[1:])))

    def _names(self, path: str) -> Iterator[str]:
        """The keys beneath a path, without what is beneath them; in no order, and never all in memory."""
        with self._asking.get(path, {"shallow": "true"}) as body:
            reader = Reader(body, 0, largest=1024)
            first = reader.peek()
            if first not in b"{[":
                if reader.value()[2] != b"null" and path:
                    self._strays.append(Stray(path, why="a value where a collection should be"))
                return
            yield from (item.id for item in walk(reader, array=first == 0x5B))

    def _ordered(self, place: Place, after: str | None) -> Iterator[Item]:
        """In the order of bytes. RTDB puts keys that are 32-bit integers first, by their number: those are sorted on
        disk, and merged with the others, which RTDB has in our order."""
        pages = Pages(self._asking, self._path(place))
        numbers = Spool()
        last = None
        for item in pages.after(None):
            if not is_number(item.id):
                break
            numbers.add((item.id, item.raw), size=len(item.raw or b""))
            last = item.id
        start = after if after is not None and not is_number(after) else last
        yield from merged((Item(*entry) for entry in numbers.entries()), self._texts(pages, place, start))

    def _texts(self, pages: Pages, place: Place, start: str | None) -> Iterator[Item]:
        before = ""
        for item in pages.after(start):
            if is_number(item.id):
                continue
            if item.id <= before:
                raise SourceUnreadable(
                    f"The source gives the ids of {place} in an order that is not theirs: {item.id}."
                )
            before = item.id
            yield item

    def _changed(self, place: Place, since: int) -> Iterator[Item]:
        spool = Spool()
        for item in Pages(self._asking, self._path(place)).changed_since(since):
            spool.add((item.id, item.raw), size=len(item.raw or b""))
        return (Item(*entry) for entry in spool.entries())
