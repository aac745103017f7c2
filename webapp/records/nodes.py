"""Records in a Realtime Database. It has no row level security, so every path is paths.path_of's; and no transactions,
so every write says by its tag what it was made of, and is made again where that has changed meanwhile. What is written
stays also where the request's own transaction fails afterwards."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from webapp.errors import Conflict
from webapp.listing import Page
from webapp.records import finance, searching
from webapp.records import tree as trees
from webapp.records.exactness import EXACT, read, written
from webapp.records.finance import Total
from webapp.records.kinds import OPERATIONS, SETTINGS
from webapp.records.paths import KeyUnfit, path_of, refuse_key
from webapp.records.record import OWN, Record
from webapp.records.refusals import RecordExists
from webapp.records.repository import Edit
from webapp.records.rest import NULL_ETAG, Rest
from webapp.records.times import millis_of
from webapp.records.tree import Tree

# Of writers who meet, one wins each time: so many in a row are more than meet at one record.
ATTEMPTS, PAUSE_SECONDS = 12, 0.02
_TIMES = ("created_at", "updated_at")


@dataclass(frozen=True)
class NodeRepository:
    """`root`: RTDB_ROOT's keys."""

    rest: Rest
    root: tuple[str, ...]
    tenant: UUID

    def get(self, collection: str, record_id: str) -> Record | None:
        path = self._known(collection, record_id)
        return _record(record_id, self.rest.get(path)) if path else None

    def page(self, collection: str, asked: Mapping[str, Any]) -> Page:
        return searching.page_of(list(self._all(collection)), asked)

    def create(self, collection: str, record: Record) -> None:
        if not self.rest.put(self._path(collection, record.id), _node(record), etag=NULL_ETAG):
            raise RecordExists

    def store(self, collection: str, record: Record) -> None:
        self.rest.put(self._path(collection, record.id), _node(record))

    def change(self, collection: str, record_id: str, edit: Edit) -> Record | None:
        path = self._known(collection, record_id)
        if path is None:
            return None
        made: Record | None = None

        def changed(found: Any) -> Any:
            nonlocal made
            record = _record(record_id, found)
            made = edit(record) if record else None
            return None if made is None else _node(made)

        self._again(path, changed)
        return made

    def delete(self, collection: str, record_id: str) -> bool:
        path = self._known(collection, record_id)
        if path is None:
            return False
        for _ in _attempts():
            found = self.rest.tagged(path)
            if found.value is None:
                return False
            if self.rest.delete(path, etag=found.etag):
                return True
        raise Conflict

    def tree(self) -> Tree:
        return read(self.rest.get(self._path(SETTINGS)))

    def put(self, parts: Sequence[str], value: Any) -> Tree:
        return self._planted(lambda tree: trees.put(tree, parts, value))

    def patch(self, parts: Sequence[str], changes: Mapping[str, Any]) -> Tree:
        return self._planted(lambda tree: trees.patch(tree, parts, changes))

    def totals(self, first: int, after: int) -> list[Total]:
        operations = ((record.body, record.created_at) for record in self._all(OPERATIONS))
        return finance.totals(operations, first, after)

    def _planted(self, grown: Callable[[Tree], Tree]) -> Tree:
        made: Tree = {}

        def changed(found: Any) -> Any:
            nonlocal made
            made = grown(read(found))
            return written(made)

        self._again(self._path(SETTINGS), changed)
        return made

    def _again(self, path: str, changed: Callable[[Any], Any]) -> None:
        """Write what `changed` makes of what is there (None: nothing is written) until nobody else has written in
        between. Raises Conflict."""
        for _ in _attempts():
            found = self.rest.tagged(path)
            made = changed(found.value)
            if made is None or self.rest.put(path, made, etag=found.etag):
                return
        raise Conflict

    def _all(self, collection: str) -> Iterator[Record]:
        found = self.rest.get(self._path(collection))
        # Ids that are small integers come back as an array.
        items = enumerate(found) if isinstance(found, list) else (found or {}).items()
        for record_id, node in items:
            record = _record(str(record_id), node)
            if record is not None:
                yield record

    def _path(self, collection: str, *keys: str) -> str:
        return path_of(self.root, self.tenant, collection, *keys)

    def _known(self, collection: str, record_id: str) -> str | None:
        """The record's path; None for an id that no record can have."""
        try:
            refuse_key(record_id)
        except KeyUnfit:
            return None
        return self._path(collection, record_id)


def _node(record: Record) -> dict[str, Any]:
    times = {"created_at": record.created_at, "updated_at": record.updated_at}
    node = {**written(record.body), **{name: at for name, at in times.items() if at is not None}}
    return node or {EXACT: "{}"}  # of a migrated record that is empty there would be nothing at all


def _record(record_id: str, node: Any) -> Record | None:
    """None where nothing is, or no record. A time in another notation is read all the same."""
    if isinstance(node, list):
        node = {str(index): item for index, item in enumerate(node) if item is not None}
    if not isinstance(node, Mapping):
        return None
    created_at, updated_at = (millis_of(node.get(name)) for name in _TIMES)
    body = read({name: value for name, value in node.items() if name not in OWN})
    return Record(record_id, body, created_at, updated_at)


def _attempts() -> Iterator[int]:
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0, PAUSE_SECONDS * attempt))  # noqa: S311 - so that who met does not meet again
        yield attempt
