"""A digest of all that a tenant has, over a superuser's connection: row level security hides nothing from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg2

from webapp.variables import DatabaseUrl

_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace ORDER BY 1
"""
_DIGEST = """
SELECT '{table}', count(*), md5(coalesce(string_agg(t::text, '\n' ORDER BY t::text), ''))
FROM "{table}" t WHERE "{column}" = %(tenant)s
"""


@dataclass(frozen=True)
class Rows:
    cursor: Any
    tables: tuple[str, ...]

    def of(self, tenant: UUID) -> dict[str, tuple[int, str]]:
        """How many rows each table has of the tenant, and a digest over them."""
        parts = [_DIGEST.format(table=table, column="tenant_id") for table in self.tables]
        parts.append(_DIGEST.format(table="tenants", column="id"))
        self.cursor.execute(" UNION ALL ".join(parts), {"tenant": str(tenant)})
        return {table: (count, digest) for table, count, digest in self.cursor.fetchall()}


@contextmanager
def rows_of(admin: DatabaseUrl, database: str) -> Iterator[Rows]:
    url = DatabaseUrl(admin.user, admin.password, admin.host, admin.port, database)
    with closing(psycopg2.connect(url.render())) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(_TABLES)
            yield Rows(cursor, tuple(name for (name,) in cursor.fetchall()))
