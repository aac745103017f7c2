"""The data set of `make bench-ops`."""

from __future__ import annotations

from collections.abc import Callable

# Rows that compress as a product's do, with the indexes that one has: 1 GB on disk in three tables.
ROWS = """
CREATE TABLE {schema}.sales (id bigint PRIMARY KEY, tenant uuid NOT NULL, at timestamptz NOT NULL, amount numeric);
INSERT INTO {schema}.sales SELECT n, md5((n % 500)::text)::uuid, now() - n * interval '1 s', n % 100000 / 7.0
    FROM generate_series(1, 2300000) n;
CREATE INDEX ON {schema}.sales (tenant, at);
CREATE TABLE {schema}.events (id bigint PRIMARY KEY, tenant uuid NOT NULL, kind text NOT NULL, payload jsonb NOT NULL);
INSERT INTO {schema}.events SELECT n, md5((n % 500)::text)::uuid, 'kind-' || n % 20, jsonb_build_object('order', n,
    'customer', md5(n::text), 'lines', jsonb_build_array(n % 7, n % 11), 'note', repeat('word ' || n % 97 || ' ', 12))
    FROM generate_series(1, 1000000) n;
CREATE INDEX ON {schema}.events (tenant, kind);
CREATE TABLE {schema}.documents (id bigint PRIMARY KEY, body text NOT NULL);
INSERT INTO {schema}.documents SELECT n, (SELECT string_agg(md5((n * 40 + i)::text), ' ') FROM generate_series(1, 40) i)
    FROM generate_series(1, 170000) n;
"""


def fill(sql: Callable[[str], str], schema: str = "public") -> int:
    """Put 1 GB of rows into a database; its size in bytes."""
    sql(ROWS.format(schema=schema))
    sql("VACUUM ANALYZE")
    sql("CHECKPOINT")
    return int(sql("SELECT pg_database_size(current_database())"))
