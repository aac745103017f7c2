"""A row in every table, made from the catalogue alone: for migrations that must find tables filled."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection, text

UUID = "11111111-1111-4111-8111-111111111111"
# By the type's name in the catalogue.
VALUES: dict[str, Any] = {
    "uuid": UUID, "text": "x", "varchar": "x", "int2": 1, "int4": 1, "int8": 1, "bool": True, "bytea": b"\x01",
    "timestamptz": "2026-01-01T00:00:00Z", "jsonb": "{}", "_text": "{x}",
}  # fmt: skip

_TABLES = """
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    AND c.relname NOT LIKE 'procrastinate%' AND c.relname <> 'alembic_version' ORDER BY c.relname
"""
_COLUMNS = """
SELECT a.attname AS name, t.typname AS type FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = CAST(:table AS regclass) AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull
    AND NOT a.atthasdef AND a.attidentity = ''
"""
_CHECKS = """
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c' AND conrelid = CAST(:table AS regclass)
"""
_PARENTS = """
SELECT confrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND conrelid = CAST(:table AS regclass)
    AND confrelid <> conrelid
"""


# Of each table: its columns, and what stood in them.
Known = dict[str, tuple[list[str], list[tuple[Any, ...]]]]


def fill(connection: Connection, known: Known) -> Known:
    """A row in each table that is not `known`, parents first; what stands in all of them now."""
    tables = list(connection.scalars(text(_TABLES)))
    filled = set(known)

    def visit(table: str) -> None:
        if table not in filled:
            filled.add(table)
            for parent in connection.scalars(text(_PARENTS), {"table": table}).all():
                visit(parent)
            # A migration may bring rows of its own.
            if connection.scalar(text(f'SELECT true FROM "{table}" LIMIT 1')) is None:
                _insert(connection, table)

    for table in tables:
        visit(table)
    found = {table: columns(connection, table) for table in tables}
    return {table: (names, rows(connection, table, names)) for table, names in found.items()}


def rows(connection: Connection, table: str, names: list[str]) -> list[tuple[Any, ...]]:
    """What stands in these columns of a table."""
    chosen = ", ".join(f'"{name}"::text' for name in names)
    return [tuple(row) for row in connection.execute(text(f'SELECT {chosen} FROM "{table}"'))]


def columns(connection: Connection, table: str) -> list[str]:
    """The names of a table's columns, in their order."""
    query = "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) AND attnum > 0"
    return list(connection.scalars(text(query + " AND NOT attisdropped ORDER BY attnum"), {"table": table}))


def _insert(connection: Connection, table: str) -> None:
    wanted = {row.name: VALUES[row.type] for row in connection.execute(text(_COLUMNS), {"table": table})}
    for check in connection.scalars(text(_CHECKS), {"table": table}):
        # `status = ANY (ARRAY['active'::text, …])`: its first value will do.
        if (found := re.search(r"(\w+) = ANY \(\(?ARRAY\['([^']+)'", check)) and found[1] in wanted:
            wanted[found[1]] = found[2]
    names = ", ".join(f'"{name}"' for name in wanted)
    places = ", ".join(f":{name}" for name in wanted)
    connection.execute(text(f'INSERT INTO "{table}" ({names}) VALUES ({places})'), wanted)
