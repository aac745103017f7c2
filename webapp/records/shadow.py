"""Two stores as one: the leader answers; the follower is written with it and asked the same, to see what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from webapp.errors import MoorageError
from webapp.listing import Page
from webapp.records.canonical import digest
from webapp.records.finance import Total
from webapp.records.kinds import OPERATIONS, SETTINGS, TREE, times_of
from webapp.records.record import Record
from webapp.records.repository import Edit, Repository
from webapp.records.tree import Tree
from webapp.records.witness import Asked, Witness

A = TypeVar("A")
# Two writers of one record reach both stores in the same order.
_IN_TURN = text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))")


@dataclass(frozen=True)
class Shadow:
    """`session` claims the tenant; `follower` writes on it."""

    session: Session
    tenant: UUID
    leader: Repository
    follower: Repository
    witness: Witness

    def get(self, collection: str, record_id: str) -> Record | None:
        def told(record: Record | None) -> Any:
            return record_digest(collection, record) if record else None

        asked = Asked("get", collection, record_id)
        return self._asked(asked, lambda store: store.get(collection, record_id), told)

    def page(self, collection: str, asked: Mapping[str, Any]) -> Page:
        def told(page: Page) -> Any:
            return page.total, [(record.id, record_digest(collection, record)) for record in page.items]

        return self._asked(Asked("page", collection), lambda store: store.page(collection, asked), told)

    def tree(self) -> Tree:
        asked = Asked("tree", SETTINGS, TREE)
        return self._asked(asked, lambda store: store.tree(), lambda tree: digest(tree, times_of(SETTINGS)))

    def totals(self, first: int, after: int) -> list[Total]:
        return self._asked(Asked("totals", OPERATIONS), lambda store: store.totals(first, after), lambda sums: sums)

    def create(self, collection: str, record: Record) -> None:
        asked = Asked("create", collection, record.id)
        with self._in_turn(asked):
            self.leader.create(collection, record)
            self._follow(asked, lambda: self.follower.store(collection, record))

    def store(self, collection: str, record: Record) -> None:
        asked = Asked("store", collection, record.id)
        with self._in_turn(asked):
            self.leader.store(collection, record)
            self._follow(asked, lambda: self.follower.store(collection, record))

    def change(self, collection: str, record_id: str, edit: Edit) -> Record | None:
        asked = Asked("change", collection, record_id)
        with self._in_turn(asked):
            record = self.leader.change(collection, record_id, edit)
            if record is not None:
                self._follow(asked, lambda: self.follower.store(collection, record))
            return record

    def delete(self, collection: str, record_id: str) -> bool:
        asked = Asked("delete", collection, record_id)
        with self._in_turn(asked):
            gone = self.leader.delete(collection, record_id)
            self._follow(asked, lambda: self.follower.delete(collection, record_id))
            return gone

    def put(self, parts: Sequence[str], value: Any) -> Tree:
        return self._planted("put", lambda: self.leader.put(parts, value))

    def patch(self, parts: Sequence[str], changes: Mapping[str, Any]) -> Tree:
        return self._planted("patch", lambda: self.leader.patch(parts, changes))

    def _planted(self, verb: str, write: Callable[[], Tree]) -> Tree:
        asked = Asked(verb, SETTINGS, TREE)
        with self._in_turn(asked):
            tree = write()
            self._follow(asked, lambda: self.follower.put((), tree))
            return tree

    def _asked(self, asked: Asked, ask: Callable[[Repository], A], told: Callable[[A], Any]) -> A:
        """The leader's answer. Where the follower's differs, both are asked once more: somebody may have written in
        between."""
        answer = ask(self.leader)
        try:
            with self.session.begin_nested():
                alike = told(ask(self.follower)) == told(answer)
                if not alike:
                    answer = ask(self.leader)
                    alike = told(ask(self.follower)) == told(answer)
        except (SQLAlchemyError, MoorageError) as error:
            self.witness.failed(self.session, self.tenant, asked, error)
            return answer
        self.witness.compared(self.session, self.tenant, asked, alike=alike)
        return answer

    def _follow(self, asked: Asked, write: Callable[[], Any]) -> None:
        """What fails here is left for the next synchronisation: the leader has it, and the client is told so."""
        try:
            with self.session.begin_nested():
                write()
        except (SQLAlchemyError, MoorageError) as error:
            self.witness.failed(self.session, self.tenant, asked, error)

    @contextmanager
    def _in_turn(self, asked: Asked) -> Iterator[None]:
        self.session.execute(_IN_TURN, {"what": f"records {self.tenant} {asked.collection} {asked.record_id}"})
        yield


def record_digest(collection: str, record: Record) -> str:
    """What two stores' copies of a record are compared by."""
    return digest(record.shown(), times_of(collection))
