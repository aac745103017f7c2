"""What a cutover reads from: one Protocol for every kind of store, and how one fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol
from uuid import UUID

from webapp.failures import Failure

# A record that is larger is not held in memory, and so cannot be carried over. Bytes of JSON as the source has it.
# PostgreSQL itself ends at 255 MB in one jsonb; RTDB writes no more than 16 MB at once (its documented limits).
LARGEST_RECORD = 32 * 1024 * 1024


class SourceError(Failure):
    """The source cannot be read as it should be."""

    code = "SOURCE_FAILED"


class SourceGone(SourceError):
    """The source answered before and does not now. What was carried over stays; a further run goes on from there."""

    code = "SOURCE_GONE"


class SourceRefused(SourceError):
    """The source is there and does not let us read."""

    code = "SOURCE_REFUSED"


class SourceUnreadable(SourceError):
    """What the source gives has not the form that it should have, from a place on that the words name."""

    code = "SOURCE_UNREADABLE"


class SourceTruncated(SourceUnreadable):
    """The source ends in the middle of something."""

    code = "SOURCE_TRUNCATED"


@dataclass(frozen=True, order=True)
class Place:
    """One collection of one tenant: `resources/licenses`, or the tree `settings`."""

    tenant: UUID
    collection: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.collection}"


class Item(NamedTuple):
    """A record as the source has it.

    `raw`: its JSON text (None where it is larger than LARGEST_RECORD); `value`: what that text says, where the source
    has read it already, else None; `where`: for a person to find it (a byte, a line, a path).
    """

    id: str
    raw: bytes | None
    value: Any = None
    at: int = -1


@dataclass(frozen=True)
class Stray:
    """Something in the source that belongs to no collection, and is left out. `size` in bytes, 0 where not known."""

    path: str
    size: int = 0
    why: str = "not a path of the contract"


class Source(Protocol):
    """A store that records come from.

    Ids come in the order of their UTF-8 bytes (PostgreSQL's collation "C"), which Python's own order of texts is.
    Everything raises SourceError of some kind; a record that is wrong by itself is not an error of the source.
    """

    # Whether others write to it meanwhile.
    live: ClassVar[bool]

    @property
    def name(self) -> str:
        """Which store this is, the same in each run; holds no secret. A checkpoint of another name is not used."""
        ...

    def places(self) -> list[Place]:
        """Every collection that there is, in order."""
        ...

    def strays(self) -> list[Stray]:
        """What will be left out, the first of it (bounded)."""
        ...

    def stray_count(self) -> int: ...

    def count(self, place: Place) -> int | None:
        """How many records, where that is known without reading them all."""
        ...

    def records(self, place: Place, *, after: str | None = None, upto: str | None = None) -> Iterator[Item]:
        """The records with `after` < id <= `upto`, ascending by id."""
        ...

    def values(self, place: Place, *, after: str | None = None, upto: str | None = None) -> Iterator[Item]:
        """The same, but of an ordinary record only the value, with `raw` empty: no text of it has U+0000, no number 19
        digits, and it has no `_exact`."""
        ...

    def keys(self, place: Place) -> Iterator[str]:
        """The ids alone, in any order."""
        ...

    def one(self, place: Place, record_id: str) -> Item | None:
        """One record as it is now."""
        ...

    def mark(self, place: Place) -> str | None:
        """ "Now", for changes since later; None where the source cannot say what has changed."""
        ...

    def changes(self, place: Place, since: str) -> Iterator[Item] | None:
        """The records that were written after a mark, ascending by id; None where the source cannot say.

        What was deleted is not among them: `keys` tells.
        """
        ...

    def cuts(self, place: Place, pieces: int) -> list[str]:
        """Ids that divide the collection into at most `pieces` of about one size, for readers side by side; may be
        empty."""
        ...

    def apart(self) -> Source:
        """The same for a process that was forked off: what it knows, and no connection of ours."""
        ...

    def meaning(self, raw: bytes) -> Any:
        """What a record's text says, as a JSON value of ours. Raises ValueError where it is no such text."""
        ...
