"""PostgreSQL's side of a cutover: rows written in batches, as each tenant, by the tables' owner.

The owner and not the application: COPY into a table with row level security is not to be had, so it goes by way of a
temporary one, which the application may not make. Policies are forced on the owner, too: each transaction names its
tenant in its claims, and sees and writes rows of no other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import errors

from webapp.cutover.mapping import Row
from webapp.cutover.sources import Place
from webapp.db import KEEPALIVE
from webapp.failures import Failure
from webapp.variables import DatabaseUrl

Cursor = psycopg.Cursor[Any]

# One batch is a transaction of a second at most on a slow disk; what takes this long hangs.
STATEMENT_TIMEOUT_MS = 120_000
# Whoever holds a lock on the records for so long is in the way of requests, too.
LOCK_TIMEOUT_MS = 10_000
APPLICATION = "moorage cutover"
# Within that PostgreSQL notices that a client is gone.
ENDED_SECONDS = 3.0
# Any number that nothing else takes: two that write would undo each other's deletions.
_ALONE = 0x6D6F6F63

_BATCH = (
    'CREATE TEMPORARY TABLE IF NOT EXISTS cutover_batch (id text COLLATE "C", body jsonb, created_at bigint,'
    " updated_at bigint) ON COMMIT DELETE ROWS"
)
_KEYS = 'CREATE TEMPORARY TABLE IF NOT EXISTS cutover_keys (id text COLLATE "C") ON COMMIT DELETE ROWS'
_GONE = """
SELECT id FROM records r WHERE tenant_id = %(tenant)s AND collection = %(collection)s
AND id > %(after)s AND (%(all)s OR id <= %(upto)s)
AND NOT EXISTS (SELECT FROM cutover_batch b WHERE b.id = r.id) ORDER BY id
"""
_GONE_BY_KEYS = """
SELECT id FROM records r WHERE tenant_id = %(tenant)s AND collection = %(collection)s
AND NOT EXISTS (SELECT FROM cutover_keys k WHERE k.id = r.id) ORDER BY id
"""
_DELETE = "DELETE FROM records WHERE tenant_id = %(tenant)s AND collection = %(collection)s AND id = ANY(%(ids)s)"
# In the order of the key, so that no other index looks as good while the table has no statistics.
_NEXT = """
SELECT id FROM records WHERE tenant_id = %(tenant)s AND collection = %(collection)s AND id > %(after)s
ORDER BY tenant_id, collection, id LIMIT 1
"""
_INSERT = """
INSERT INTO records (tenant_id, collection, id, body, created_at, updated_at)
SELECT %(tenant)s, %(collection)s, id, body, created_at, updated_at FROM cutover_batch WHERE body IS NOT NULL
"""
# A row that an UPDATE made has an xmax; one that was inserted has none.
_UPSERT = """
WITH done AS (
    INSERT INTO records AS r (tenant_id, collection, id, body, created_at, updated_at)
    SELECT %(tenant)s, %(collection)s, id, body, created_at, updated_at FROM cutover_batch WHERE body IS NOT NULL
    ON CONFLICT (tenant_id, collection, id) DO UPDATE
    SET body = excluded.body, created_at = excluded.created_at, updated_at = excluded.updated_at
    WHERE (r.body, r.created_at, r.updated_at)
        IS DISTINCT FROM (excluded.body, excluded.created_at, excluded.updated_at)
    RETURNING xmax = 0 AS fresh)
SELECT count(*) FILTER (WHERE fresh), count(*) FILTER (WHERE NOT fresh) FROM done
"""


class TargetFull(Failure):
    """PostgreSQL has no room for more."""

    code = "TARGET_FULL"


class CutoverRunning(Failure):
    """Another cutover writes at this moment."""

    code = "CUTOVER_RUNNING"


@dataclass(frozen=True)
class Written:
    """What a batch changed."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


class Target:
    """One connection. Raises psycopg.Error; TargetFull where there is no room.

    By psycopg and not psycopg2: what a COPY waits for cannot be taken from the latter once webapp.waiting is in.
    """

    def __init__(self, url: DatabaseUrl) -> None:
        limits = f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS}"
        # A table that is being filled has no statistics yet; whatever is asked of it here, its key answers.
        limits += " -c enable_seqscan=off"
        told: dict[str, Any] = {"application_name": APPLICATION, "options": limits, "connect_timeout": 10, **KEEPALIVE}
        self._connection = psycopg.connect(url.render(), autocommit=True, **told)

    def close(self) -> None:
        self._connection.close()

    def be_alone(self) -> None:
        """Holds the turn to write until the connection ends. Raises CutoverRunning."""
        if not alone(self._connection, _ALONE):
            raise CutoverRunning("Another cutover writes into this database. Wait for its end, or stop it first.")

    @contextmanager
    def transaction(
        self, tenant: UUID | None, *, keep: bool = True, lasting: bool = True, **further: str
    ) -> Iterator[Cursor]:
        """As a tenant; without one, as nobody, with the claims given. Without `keep` all is undone at its end; without
        `lasting` a crash of the server within a second may undo it, as a whole."""
        claims = json.dumps({**({"tenant_id": str(tenant)} if tenant else {}), **further})
        try:
            with self._connection.transaction(force_rollback=not keep), self._connection.cursor() as cursor:
                cursor.execute("SELECT set_config('request.jwt.claims', %s, true)", (claims,))
                if not lasting:
                    cursor.execute("SET LOCAL synchronous_commit = off")
                yield cursor
        except (errors.InsufficientResources, errors.DiskFull, errors.ConfigurationLimitExceeded) as error:
            raise TargetFull(
                f"PostgreSQL has no room ({str(error).splitlines()[0]}). This batch was not written, all before was. "
                "Make room, and run it again; it goes on from there."
            ) from error

    def tenants(self) -> set[UUID]:
        """Every tenant that there is here."""
        with self.transaction(None, door="directory") as cursor:
            return {found for (found,) in cursor.execute("SELECT id FROM tenants").fetchall()}


def line_of(row: Row) -> bytes:
    """A row as `fill` takes it: COPY's text format. Tabs and line ends are in no id, and compact JSON has them
    escaped."""
    body = row.body
    if b"\\" in body:
        body = body.replace(b"\\", b"\\\\")
    head = _escaped(row.id)
    if row.created_at is None or row.updated_at is None:
        return b"%b\t%b\t%b\t%b\n" % (head, body, _number(row.created_at), _number(row.updated_at))
    return b"%b\t%b\t%d\t%d\n" % (head, body, row.created_at, row.updated_at)


def line_without_row(record_id: str) -> bytes:
    """Of a record that can be no row: its id is there, so that what it was before is not taken for deleted."""
    return _escaped(record_id) + b"\t\\N\t\\N\t\\N\n"


def alone(connection: psycopg.Connection[Any], lock: int) -> bool:
    """Whether the connection has the lock, until it ends. One that ended just now, or was killed, may have it still."""
    end = time.monotonic() + ENDED_SECONDS
    while connection.execute("SELECT pg_try_advisory_lock(%s)", (lock,)).fetchone() != (True,):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def fill(cursor: Cursor, lines: Iterable[bytes]) -> None:
    """Brings rows where `upsert`, `insert` and `gone` find them, for the length of this transaction."""
    cursor.execute(_BATCH)
    with cursor.copy("COPY cutover_batch FROM STDIN") as copy:
        copy.write(b"".join(lines))


def upsert(cursor: Cursor, place: Place) -> Written:
    """The batch's rows are there afterwards; those that were the same are not written."""
    cursor.execute(_UPSERT, _where(place))
    inserted, updated = cursor.fetchone() or (0, 0)
    return Written(inserted, updated)


def insert(cursor: Cursor, place: Place) -> Written:
    """The same where none of the rows is there yet: half the work. Raises UniqueViolation where one is."""
    cursor.execute(_INSERT, _where(place))
    return Written(cursor.rowcount)


def empty(cursor: Cursor, place: Place, after: str | None, upto: str) -> bool:
    """Whether nothing is here with `after` < id <= `upto`."""
    found = cursor.execute(_NEXT, {**_where(place), "after": after or ""}).fetchone()
    return found is None or found[0] > upto


def gone(cursor: Cursor, place: Place, after: str | None, upto: str | None) -> list[str]:
    """The ids with `after` < id <= `upto` that are here and not in the batch."""
    # No id is empty.
    cursor.execute(_GONE, {**_where(place), "after": after or "", "upto": upto or "", "all": upto is None})
    return [found for (found,) in cursor.fetchall()]


def gone_by_keys(cursor: Cursor, place: Place, keys: Iterable[str]) -> list[str]:
    """The ids that are here and not among the keys, of which there may be any number."""
    cursor.execute(_KEYS)
    with cursor.copy("COPY cutover_keys FROM STDIN") as copy:
        for key in keys:
            copy.write(_escaped(key) + b"\n")
    cursor.execute(_GONE_BY_KEYS, _where(place))
    return [found for (found,) in cursor.fetchall()]


def delete(cursor: Cursor, place: Place, ids: Sequence[str]) -> int:
    if not ids:
        return 0
    cursor.execute(_DELETE, {**_where(place), "ids": list(ids)})
    return cursor.rowcount


def _where(place: Place) -> dict[str, Any]:
    return {"tenant": place.tenant, "collection": place.collection}


def _escaped(text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    return raw.replace(b"\\", b"\\\\") if b"\\" in raw else raw


def _number(value: int | None) -> bytes:
    return b"\\N" if value is None else b"%d" % value
