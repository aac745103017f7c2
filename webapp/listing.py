"""Lists: one page of a query, sorted and searched as the contract says, with the number of all there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy import Select, func, inspect, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

# A model's attribute; of whatever type, because a mapping is not covariant in what it holds.
Column = InstrumentedAttribute[Any] | Any

DEFAULT_LIMIT, LARGEST_LIMIT = 50, 200
# Beyond, OFFSET reads and throws away more than anyone looks at.
LAST_PAGE = 100_000


@dataclass(frozen=True)
class Page:
    """Rows of one page. `total` counts those of all pages."""

    items: Sequence[Any]
    total: int
    page: int
    limit: int

    @property
    def meta(self) -> dict[str, int]:
        return {"total": self.total, "page": self.page, "limit": self.limit}


def page_query(*sortable: str, **filters: fields.Field[Any]) -> type[Schema]:
    """The query's schema: page, limit, sort (one of `sortable`, the first by default), order, q, and filters."""
    plain: dict[str, fields.Field[Any]] = {
        "page": fields.Integer(load_default=1, validate=validate.Range(min=1, max=LAST_PAGE)),
        "limit": fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(min=1, max=LARGEST_LIMIT)),
        "sort": fields.String(load_default=sortable[0], validate=validate.OneOf(sortable)),
        "order": fields.String(load_default="desc", validate=validate.OneOf(("asc", "desc"))),
        "q": fields.String(validate=validate.Length(max=200)),
    }
    return Schema.from_dict({**plain, **filters}, name="PageQuery")


def page_of(
    session: Session,
    query: Select[Any],
    asked: Mapping[str, Any],
    *,
    sortable: Mapping[str, Column],
    searched: Sequence[Column] = (),
    tie: Column,
) -> Page:
    """One page of `query`. `asked` is a loaded `page_query`; `tie` (the primary key) makes the order complete."""
    if (words := asked.get("q")) and searched:
        query = query.where(or_(*(column.icontains(words, autoescape=True) for column in searched)))
    column = sortable[asked["sort"]]
    ordered = (column.asc(), tie.asc()) if asked["order"] == "asc" else (column.desc(), tie.desc())
    window = _plainly(query).order_by(*ordered).limit(asked["limit"]).offset((asked["page"] - 1) * asked["limit"])
    rows = session.execute(window.add_columns(func.count().over().label("_total"))).all()
    # None on a page past the end, and where there is nothing at all.
    total = rows[0][-1] if rows else session.scalar(select(func.count()).select_from(query.subquery())) or 0
    alone = len(rows[0]) == 2 if rows else True
    items = [row[0] for row in rows] if alone else rows
    return Page(items, total, asked["page"], asked["limit"])


def _plainly(query: Select[Any]) -> Select[Any]:
    """The same query for rows in place of models, where a model is no more than its columns: a third of a page's time
    goes into making fifty of them, of which none is going to be changed."""
    described = query.column_descriptions
    columns = _columns_of(described[0]["entity"]) if len(described) == 1 else None
    return query.with_only_columns(*columns, maintain_column_froms=True) if columns else query


@cache
def _columns_of(entity: Any) -> tuple[Any, ...] | None:
    """Those of a model that has nothing else; None for anything else."""
    mapper: Any = inspect(entity, raiseerr=False)
    if mapper is None or not mapper.is_mapper:
        return None
    names = {attribute.key for attribute in mapper.column_attrs}
    plain = names == {column.name for column in mapper.columns} == set(mapper.all_orm_descriptors.keys())
    computed = any(isinstance(value, property) for value in vars(entity).values())
    return tuple(mapper.columns) if plain and not computed else None
