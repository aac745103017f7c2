"""A folder of what `mongoexport` writes: a file a collection, a document a line or one array, in extended JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar
from uuid import UUID

from webapp.cutover.catalogue import MOST_STRAYS
from webapp.cutover.domain import COLLECTIONS, SETTINGS
from webapp.cutover.extended import plain, read_extended
from webapp.cutover.layout import TREE_ID, tenant_of
from webapp.cutover.meaning import read_json
from webapp.cutover.reader import Reader
from webapp.cutover.sources import LARGEST_RECORD, Item, Place, Source, SourceGone, SourceUnreadable, Stray
from webapp.cutover.spool import Spool

_PIECE = 64 * 1024


@dataclass
class _Collected:
    """Of one tenant's documents in one file: how many there are, and where each begins."""

    path: Path
    count: int = 0
    spool: Spool = field(default_factory=Spool)


class MongoExport:
    """`tenant_field`: the documents' field that names their tenant. A file is the collection of its name, whole
    (`resources.licenses.json`) or its last part (`licenses.json`)."""

    def __init__(self, folder: Path, *, tenant_field: str = "tenant_id", largest: int = LARGEST_RECORD) -> None:
        self._folder, self._field, self._largest = folder, tenant_field, largest
        self._found: dict[Place, _Collected] | None = None
        self._strays: list[Stray] = []
        self._stray_count = 0

    live: ClassVar[bool] = False

    @property
    def name(self) -> str:
        facts = [(path, path.stat()) for path in self._files()]
        return "mongo-export:" + ",".join(f"{path.name}:{of.st_size}:{of.st_mtime_ns}" for path, of in facts)

    def places(self) -> list[Place]:
        return sorted(self._surveyed)

    def strays(self) -> list[Stray]:
        _ = self._surveyed
        return self._strays

    def stray_count(self) -> int:
        _ = self._surveyed
        return self._stray_count

    def count(self, place: Place) -> int | None:
        found = self._surveyed.get(place)
        return found.count if found else 0

    def records(self, place: Place, *, after: str | None = None, upto: str | None = None) -> Iterator[Item]:
        found = self._surveyed.get(place)
        if found is None:
            return
        held: Item | None = None
        with self._open(found.path) as file:
            for record_id, at in found.spool.entries():
                if after is not None and record_id <= after:
                    continue
                if upto is not None and record_id > upto:
                    break
                item = Item(record_id, Reader(file, at, largest=self._largest, chunk=_PIECE).value()[2], None, at)
                if held is not None and held.id != record_id:
                    yield held
                held = item
        if held is not None:
            yield held

    def values(self, place: Place, *, after: str | None = None, upto: str | None = None) -> Iterator[Item]:
        return self.records(place, after=after, upto=upto)

    def keys(self, place: Place) -> Iterator[str]:
        found = self._surveyed.get(place)
        return (entry[0] for entry in found.spool.entries()) if found else iter(())

    def one(self, place: Place, record_id: str) -> Item | None:
        found = self.records(place, after=record_id[:-1], upto=record_id)
        return next((item for item in found if item.id == record_id), None)

    def mark(self, place: Place) -> str | None:
        return None

    def changes(self, place: Place, since: str) -> Iterator[Item] | None:
        return None

    def cuts(self, place: Place, pieces: int) -> list[str]:
        return []

    def apart(self) -> Source:
        return self

    def meaning(self, raw: bytes) -> Any:
        """The document without what became its id and its tenant."""
        document = read_extended(raw)
        if isinstance(document, dict):
            document.pop("_id", None)
            document.pop(self._field, None)
        return document

    @property
    def _surveyed(self) -> dict[Place, _Collected]:
        if self._found is None:
            found: dict[Place, _Collected] = {}
            for path in self._files():
                collection = _collection_of(path)
                if collection is None:
                    self._stray(path.name, path.stat().st_size, "not the name of a collection")
                else:
                    self._survey(path, collection, found)
            self._found = found
        return self._found

    def _survey(self, path: Path, collection: str, found: dict[Place, _Collected]) -> None:
        for at, raw in self._documents(path):
            named = self._named(raw, collection)
            if isinstance(named, str):
                self._stray(f"{path.name} byte {at}", len(raw or b""), named)
                continue
            tenant, record_id = named
            collected = found.setdefault(Place(tenant, collection), _Collected(path))
            if collected.path != path:
                raise SourceUnreadable(f"{path.name} and {collected.path.name} are both {collection}: keep one.")
            collected.count += 1
            collected.spool.add((record_id, at))

    def _named(self, raw: bytes | None, collection: str) -> tuple[UUID, str] | str:
        """The document's tenant and id; in words why it has none."""
        if raw is None:
            return "larger than can be read, so nobody knows whose it is"
        try:
            document = read_json(raw)
            tenant = plain(document.get(self._field))
            record_id = plain(document.get("_id"))
        except (ValueError, AttributeError) as error:
            return f"cannot be read: {error}"
        whose = tenant_of(tenant.lower()) if isinstance(tenant, str) else None
        if whose is None:
            return f"its field {self._field} is no tenant's id"
        if collection == SETTINGS:
            return whose, TREE_ID
        if isinstance(record_id, int | str) and not isinstance(record_id, bool):
            return whose, str(record_id)
        return "its _id is neither text, number nor ObjectId"

    def _documents(self, path: Path) -> Iterator[tuple[int, bytes | None]]:
        with self._open(path) as file:
            reader = Reader(file, 0, largest=self._largest)
            array = not reader.nothing_left() and reader.peek() == 0x5B
            if array:
                reader.take()
            while not reader.nothing_left():
                if array and reader.peek() in b",]":
                    reader.take()
                    continue
                if reader.peek() in b"}]":
                    raise SourceUnreadable(f"{path.name}, byte {reader.at}: a document should begin here.")
                begin, _, raw, _ = reader.value()
                yield begin, raw

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if path.suffix in (".json", ".jsonl", ".ndjson"))
        except OSError as error:
            raise SourceGone(f"{self._folder} cannot be read: {error.strerror}.") from error

    def _open(self, path: Path) -> IO[bytes]:
        try:
            return path.open("rb", buffering=0)
        except OSError as error:
            raise SourceGone(f"{path} cannot be read: {error.strerror}.") from error

    def _stray(self, path: str, size: int, why: str) -> None:
        self._stray_count += 1
        if len(self._strays) < MOST_STRAYS:
            self._strays.append(Stray(path, size, why))


def _collection_of(path: Path) -> str | None:
    whole = path.stem.replace(".", "/")
    if whole == SETTINGS or whole in COLLECTIONS:
        return whole
    return next((one for one in COLLECTIONS if one.rpartition("/")[2] == whole), None)
