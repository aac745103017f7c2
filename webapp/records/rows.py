"""Records in PostgreSQL, on the request's own session: row level security keeps tenants apart, transactions writers."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, case, collate, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.listing import Page
from webapp.records import finance
from webapp.records import tree as trees
from webapp.records.finance import EXPENSE, INCOME, Total
from webapp.records.kinds import OPERATIONS, SETTINGS, TREE
from webapp.records.models import StoredRecord as R
from webapp.records.record import SEARCHED, Record
from webapp.records.refusals import RecordExists
from webapp.records.repository import Edit
from webapp.records.searching import FILTERS
from webapp.records.times import DAY_MILLIS
from webapp.records.tree import Tree


def _text(name: str) -> ColumnElement[str]:
    """A field where it is a text; empty where it is anything else."""
    is_text = func.jsonb_typeof(R.body[name]) == "string"
    return case((is_text, R.body[name].astext), else_="")


SORTABLE = {name: getattr(R, name) for name in ("created_at", "updated_at", "id", "name", "status")}
# record.searched in SQL, with lower case as Unicode has it whatever the database's locale. Not a column: no index helps
# to find a word's middle, and every row would carry its texts twice.
_SEARCHED: ColumnElement[str] = collate(
    functools.reduce(
        lambda one, other: one + "\n" + other,
        [R.id, *(func.left(_text(name), length) for name, length in SEARCHED.items())],
    ),
    "pg_c_utf8",
)
_KEY = [R.tenant_id, R.collection, R.id]


@dataclass(frozen=True)
class RowRepository:
    """`session` claims the tenant."""

    session: Session
    tenant: UUID

    def get(self, collection: str, record_id: str) -> Record | None:
        return self._one(collection, record_id)

    def page(self, collection: str, asked: Mapping[str, Any]) -> Page:
        # Counted apart, and not with the rows as listing.page_of does: that would read every body of a collection, and
        # a tenant may have a million.
        wanted = [R.collection == collection, *(getattr(R, name) == asked[name] for name in FILTERS if name in asked)]
        if words := asked.get("q"):
            wanted.append(_SEARCHED.icontains(words, autoescape=True))
        column, page, limit = SORTABLE[asked["sort"]], asked["page"], asked["limit"]
        order = (column.asc(), R.id.asc()) if asked["order"] == "asc" else (column.desc(), R.id.desc())
        window = _records().where(*wanted).order_by(*order).limit(limit).offset((page - 1) * limit)
        items = [_record(row) for row in self.session.execute(window).all()]
        total = len(items)
        if page > 1 or total == limit:
            total = self.session.scalar(select(func.count()).select_from(R).where(*wanted)) or 0
        return Page(items, total, page, limit)

    def create(self, collection: str, record: Record) -> None:
        made = insert(R).values(self._values(collection, record)).on_conflict_do_nothing(index_elements=_KEY)
        if self.session.execute(made.returning(R.id)).first() is None:
            raise RecordExists

    def store(self, collection: str, record: Record) -> None:
        values = self._values(collection, record)
        written = {name: values[name] for name in ("body", "created_at", "updated_at")}
        self.session.execute(insert(R).values(values).on_conflict_do_update(index_elements=_KEY, set_=written))

    def change(self, collection: str, record_id: str, edit: Edit) -> Record | None:
        found = self._one(collection, record_id, lock=True)
        return None if found is None else self._changed(collection, edit(found))

    def delete(self, collection: str, record_id: str) -> bool:
        gone = delete(R).where(R.collection == collection, R.id == record_id).returning(R.id)
        return self.session.execute(gone).first() is not None

    def tree(self) -> Tree:
        found = self._one(SETTINGS, TREE)
        return dict(found.body) if found else {}

    def put(self, parts: Sequence[str], value: Any) -> Tree:
        return self._planted(lambda tree: trees.put(tree, parts, value))

    def patch(self, parts: Sequence[str], changes: Mapping[str, Any]) -> Tree:
        return self._planted(lambda tree: trees.patch(tree, parts, changes))

    def totals(self, first: int, after: int) -> list[Total]:
        day = func.div(R.happened_at, DAY_MILLIS) - case((R.happened_at % DAY_MILLIS < 0, 1), else_=0)
        named = func.coalesce(R.type, "")
        comes = (named == INCOME) | and_(named != EXPENSE, R.amount > 0)
        query = (
            select(day.label("day"), R.currency, func.count(), _sum(comes), _sum(~comes))
            .where(R.collection == OPERATIONS, R.happened_at >= first, R.happened_at < after)
            .group_by(day, R.currency)
        )
        rows = self.session.execute(query).all()
        return sorted((Total(int(row[0]), *row[1:]) for row in rows), key=finance.order)

    def _planted(self, grown: Any) -> Tree:
        # Made where there is none, so that of two who come at once there is one row to wait for.
        empty = self._values(SETTINGS, Record(TREE, {}))
        self.session.execute(insert(R).values(empty).on_conflict_do_nothing(index_elements=_KEY))
        found = self._one(SETTINGS, TREE, lock=True)
        tree: Tree = grown(dict(found.body) if found else {})
        self._changed(SETTINGS, Record(TREE, tree))
        return tree

    def _one(self, collection: str, record_id: str, *, lock: bool = False) -> Record | None:
        query = _records().where(R.collection == collection, R.id == record_id)
        row = self.session.execute(query.with_for_update() if lock else query).first()
        return _record(row) if row else None

    def _changed(self, collection: str, record: Record) -> Record:
        values = {"body": dict(record.body), "created_at": record.created_at, "updated_at": record.updated_at}
        self.session.execute(update(R).where(R.collection == collection, R.id == record.id).values(values))
        return record

    def _values(self, collection: str, record: Record) -> dict[str, Any]:
        return {
            "tenant_id": self.tenant, "collection": collection, "id": record.id, "body": dict(record.body),
            "created_at": record.created_at, "updated_at": record.updated_at,
        }  # fmt: skip


def _records() -> Select[Any]:
    return select(R.id, R.body, R.created_at, R.updated_at)


def _record(row: Row[Any]) -> Record:
    return Record(row.id, row.body, row.created_at, row.updated_at)


def _sum(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(func.abs(R.amount)).filter(condition), 0)
