"""What lies where in an export file of RTDB: one pass over the structure, kept small."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO

from webapp.cutover.layout import Kind, kind_of, tenant_of
from webapp.cutover.reader import Reader
from webapp.cutover.scan import blocks, members, walk
from webapp.cutover.sources import Place, SourceUnreadable, Stray
from webapp.cutover.spool import Spool

# A further start for readers every so many records.
STRIDE = 2_000
MOST_STRAYS = 200


@dataclass
class Extent:
    """A collection in the file: where its object or array begins.

    `starts`: about every STRIDE-th record's id and the position of its name, for readers that begin in the middle
    (`noted`: the last of them). `ordered`: the file has the records in the order of their ids; else a reader makes
    `spool`, each record's id and position.
    """

    array: bool
    begin: int
    count: int = 0
    length: int = 0
    ordered: bool = True
    noted: int = 0
    starts: list[tuple[str, int]] = field(default_factory=list)
    spool: Spool | None = None


@dataclass
class Catalogue:
    """All that a file holds."""

    places: dict[Place, Extent] = field(default_factory=dict)
    strays: list[Stray] = field(default_factory=list)
    stray_count: int = 0
    size: int = 0

    def stray(self, path: tuple[str, ...], size: int, why: str = "") -> None:
        self.stray_count += 1
        if len(self.strays) < MOST_STRAYS:
            said = "/".join(path)[:200]
            self.strays.append(Stray(said, size, why) if why else Stray(said, size))


def survey(file: IO[bytes], root: tuple[str, ...], *, largest: int) -> Catalogue:
    """Raises SourceTruncated, SourceUnreadable (with the position of the byte)."""
    found = Catalogue()
    reader = Reader(file, 0, largest=largest)
    if reader.nothing_left():
        raise SourceUnreadable("The file is empty: an export of RTDB is one JSON object.")
    _enter(reader, (), root, found)
    if not reader.nothing_left():
        raise SourceUnreadable(f"Byte {reader.at}: the export's object has ended, and something follows.")
    found.size = reader.at
    return found


def _enter(reader: Reader, path: tuple[str, ...], root: tuple[str, ...], found: Catalogue) -> None:
    if reader.peek() not in b"{[":
        begin = reader.at
        _, end, raw, _ = reader.value()
        if raw != b"null":
            found.stray(path, end - begin, "a value where a collection should be")
        return
    for name in members(reader):
        inner = (*path, name)
        kind = kind_of(inner, root)
        if kind is Kind.ENTER:
            _enter(reader, inner, root, found)
        elif kind is Kind.STRAY:
            reader.peek()
            found.stray(inner, reader.skip())
        else:
            _place(reader, inner, root, kind, found)


def _place(reader: Reader, path: tuple[str, ...], root: tuple[str, ...], kind: Kind, found: Catalogue) -> None:
    below = path[len(root) + 1 :]
    tenant = tenant_of(below[0])
    if tenant is None:
        raise SourceUnreadable(f"Byte {reader.at}: {below[0]} is no tenant's id.")
    place = Place(tenant, "/".join(below[1:]))
    first = reader.peek()
    begin = reader.at
    if kind is Kind.WHOLE:
        _, end, raw, _ = reader.value()
        extent = Extent(False, begin, count=int(raw != b"null"), length=end - begin)
    elif first in b"{[":
        extent = _records(reader, first == 0x5B)
    else:
        _enter(reader, path, root, found)
        return
    if place in found.places:
        # JSON lets a name stand twice, and readers disagree on which of them counts.
        raise SourceUnreadable(f"Byte {begin}: {'/'.join(path)} stands in the file a second time.")
    if extent.count:
        found.places[place] = extent


def _records(reader: Reader, array: bool) -> Extent:
    extent = Extent(array, reader.at)
    if array:
        extent.count = sum(1 for _ in walk(reader, array=True))
        return extent
    last = ""
    for found in blocks(reader):
        if isinstance(found, list):
            begin, names = (found[0].at if found else 0), [item.id for item in found]
        else:
            begin, names = found[0], list(found[1])
        if not names:
            continue
        if names[0] < last or names != sorted(names):
            extent.ordered = False
        last = names[-1]
        extent.count += len(names)
        if extent.count >= extent.noted + STRIDE:
            extent.noted = extent.count
            extent.starts.append((names[0], begin))
    if not extent.ordered:
        extent.starts = []
    return extent
