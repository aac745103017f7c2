"""An export file of the Realtime Database, of any size: read in pieces, never as a whole."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import IO, Any, ClassVar

from webapp.cutover.catalogue import MOST_STRAYS, Catalogue, Extent, survey
from webapp.cutover.domain import SETTINGS, root_of
from webapp.cutover.layout import TENANTS, TREE_ID
from webapp.cutover.meaning import read_json, write_json
from webapp.cutover.reader import Reader
from webapp.cutover.scan import blocks, walk
from webapp.cutover.sources import LARGEST_RECORD, Item, Place, Source, SourceGone, Stray
from webapp.cutover.spool import Spool


class RtdbExport:
    """One file. `root`: the path in it under which `tenants` is, as RTDB_ROOT says it. It is surveyed when first asked:
    one pass over all of it. Memory: a few hundred bytes for every 2,000
    records. Raises ValueError for a root that none can be."""

    def __init__(self, path: Path, *, root: str = "", largest: int = LARGEST_RECORD) -> None:
        self._path, self._largest = path, largest
        self._root = root_of(root)
        self._surveyed: Catalogue | None = None
        self._repeated: set[tuple[Place, str]] = set()

    live: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The file by its name, size and time: another export is another source."""
        try:
            facts = self._path.stat()
        except OSError as error:
            raise SourceGone(f"{self._path} cannot be read: {error.strerror}.") from error
        return f"rtdb-export:{self._path.name}:{facts.st_size}:{facts.st_mtime_ns}"

    def places(self) -> list[Place]:
        return sorted(self._catalogue.places)

    def strays(self) -> list[Stray]:
        return self._catalogue.strays

    def stray_count(self) -> int:
        return self._catalogue.stray_count

    def count(self, place: Place) -> int | None:
        extent = self._catalogue.places.get(place)
        return extent.count if extent else 0

    def records(self, place: Place, *, after: str | None = None, upto: str | None = None) -> Iterator[Item]:
        extent = self._catalogue.places.get(place)
        if extent is None:
            return
        found = self._of(place, extent, after)
        if after is not None:
            found = dropwhile(lambda item: item.id <= after, found)
        if upto is not None:
            found = takewhile(lambda item: item.id <= upto, found)
        yield from self._last_of_each(place, found)

    def values(self, place: Place, *, after: str | None = None, upto: str | None = None) -> Iterator[Item]:
        extent = self._catalogue.places.get(place)
        if extent is None or extent.array or not extent.ordered or place.collection == SETTINGS:
            yield from self.records(place, after=after, upto=upto)
            return
        found = self._values(extent, after)
        if after is not None:
            found = dropwhile(lambda item: item.id <= after, found)
        yield from found if upto is None else takewhile(lambda item: item.id <= upto, found)

    def keys(self, place: Place) -> Iterator[str]:
        return (item.id for item in self.records(place))

    def one(self, place: Place, record_id: str) -> Item | None:
        before = record_id[:-1]  # a text that is smaller, to begin near it
        return next((item for item in self.records(place, after=before, upto=record_id) if item.id == record_id), None)

    def mark(self, place: Place) -> str | None:
        return None

    def changes(self, place: Place, since: str) -> Iterator[Item] | None:
        return None

    def cuts(self, place: Place, pieces: int) -> list[str]:
        extent = self._catalogue.places.get(place)
        starts = extent.starts if extent else []
        step = max(1, len(starts) // pieces)
        return [one for one, _ in starts[step::step]][: pieces - 1]

    def apart(self) -> Source:
        return self

    def meaning(self, raw: bytes) -> Any:
        return read_json(raw)

    @property
    def _catalogue(self) -> Catalogue:
        if self._surveyed is None:
            with self._open() as file:
                self._surveyed = survey(file, self._root, largest=self._largest)
        return self._surveyed

    def _open(self) -> IO[bytes]:
        try:
            return self._path.open("rb", buffering=0)
        except OSError as error:
            raise SourceGone(f"{self._path} cannot be read: {error.strerror}.") from error

    def _of(self, place: Place, extent: Extent, after: str | None) -> Iterator[Item]:
        with self._open() as file:
            if place.collection == SETTINGS:
                _, _, raw, value = Reader(file, extent.begin, largest=self._largest).value()
                yield Item(TREE_ID, raw, value, extent.begin)
            elif extent.array or not extent.ordered:
                yield from self._sorted(file, extent)
            else:
                reader, inside = self._from(file, extent, after)
                yield from walk(reader, inside=inside)

    def _blocks(
        self, file: IO[bytes], extent: Extent, after: str | None
    ) -> Iterator[tuple[int, dict[str, Any]] | list[Item]]:
        reader, inside = self._from(file, extent, after)
        return blocks(reader, inside=inside)

    def _from(self, file: IO[bytes], extent: Extent, after: str | None) -> tuple[Reader, bool]:
        """A reader near the first record behind an id, and whether it is inside of the collection already."""
        at = bisect_right(extent.starts, after, key=lambda start: start[0]) - 1 if after is not None else -1
        begin = extent.starts[at][1] if at >= 0 else extent.begin
        return Reader(file, begin, largest=self._largest), at >= 0

    def _sorted(self, file: IO[bytes], extent: Extent) -> Iterator[Item]:
        """The records of a collection that the file has in another order, such as RTDB's own, which puts numbers first
        and in the order of their value."""
        if extent.spool is None:
            spool = Spool()
            for item in walk(Reader(file, extent.begin, largest=self._largest), array=extent.array):
                spool.add((item.id, item.at))
            extent.spool = spool
        for record_id, at in extent.spool.entries():
            reader = Reader(file, at, largest=self._largest, chunk=4096)
            if not extent.array:
                reader.key()
            _, _, raw, value = reader.value()
            yield Item(record_id, raw, value, at)

    def _values(self, extent: Extent, after: str | None) -> Iterator[Item]:
        held: Item | None = None  # of an id that stands twice, the last counts
        with self._open() as file:
            for found in self._blocks(file, extent, after):
                items = found if isinstance(found, list) else [_item(*pair) for pair in found[1].items()]
                for item in items:
                    if held is not None and held.id != item.id:
                        yield held
                    held = item
        if held is not None:
            yield held

    def _last_of_each(self, place: Place, items: Iterator[Item]) -> Iterator[Item]:
        """Of items with one id, which come one after another, the last."""
        held: Item | None = None
        for item in items:
            if held is not None:
                if held.id != item.id:
                    yield held
                else:
                    self._repeat(place, item.id)
            held = item
        if held is not None:
            yield held

    def _repeat(self, place: Place, record_id: str) -> None:
        if (place, record_id) not in self._repeated and len(self._repeated) < MOST_STRAYS:
            self._repeated.add((place, record_id))
            path = (TENANTS, str(place.tenant), place.collection, record_id)
            self._catalogue.stray(path, 0, "the same id stands again further down, and counts")


def _item(record_id: str, value: Any) -> Item:
    """Of an ordinary record the value alone."""
    return Item(record_id, b"" if type(value) is dict else write_json(value), value)
