"""What a store of one tenant's records can do. There are two, and services do not know which they have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from webapp.listing import Page
from webapp.records.finance import Total
from webapp.records.record import Record
from webapp.records.tree import Tree

# Makes the next record of the one there is. Pure, for it may be asked again; where it raises, nothing is done.
Edit = Callable[[Record], Record]


class Repository(Protocol):
    """One tenant's. `collection` is one of kinds.COLLECTIONS. Each method may raise ServiceUnavailable, and those that
    write, Conflict, where others wrote the same again and again."""

    def get(self, collection: str, record_id: str) -> Record | None: ...

    def page(self, collection: str, asked: Mapping[str, Any]) -> Page:
        """Records; `asked` is a loaded query of schemas.RECORDS."""

    def create(self, collection: str, record: Record) -> None:
        """Raises RecordExists."""

    def store(self, collection: str, record: Record) -> None:
        """The record as it is given, whatever was there."""

    def change(self, collection: str, record_id: str, edit: Edit) -> Record | None:
        """The record afterwards; None where there is none. Nobody else's write comes in between."""

    def delete(self, collection: str, record_id: str) -> bool:
        """Whether it was there."""

    def tree(self) -> Tree:
        """The settings."""

    def put(self, parts: Sequence[str], value: Any) -> Tree:
        """The settings with a value at a path (tree.put). Raises SettingsPathBlocked."""

    def patch(self, parts: Sequence[str], changes: Mapping[str, Any]) -> Tree:
        """The settings with an object at a path changed (tree.patch). Raises SettingsPathBlocked."""

    def totals(self, first: int, after: int) -> list[Total]:
        """Of the operations that happened from `first` on and before `after` (milliseconds): finance.totals."""
