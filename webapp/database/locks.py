"""A migration that could not have its lock, in words: which statement waited, and who was in its way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from webapp.failures import Failure

# Another set-up at the same time waits for this advisory lock, and then finds nothing to do.
TURN = 0x6D6F6F73

_ASK_AGAIN_SECONDS = 0.2
_LOCK_NOT_AVAILABLE = "55P03"
_STATEMENT_CHARACTERS = 200

# Any session of this database that holds a lock on a table or the migrations' own turn, ours apart. What others do is
# the superuser's to see; who they are is anybody's.
_HOLDERS = text("""
    SELECT DISTINCT pid, coalesce(nullif(application_name, ''), usename), coalesce(relname, 'the turn to migrate')
    FROM pg_locks JOIN pg_stat_activity USING (pid) LEFT JOIN pg_class ON pg_class.oid = relation
    WHERE granted AND pid <> pg_backend_pid() AND datname = current_database()
      AND (locktype = 'advisory' AND objid = :turn
           OR relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S'))
    ORDER BY 3, 1 LIMIT 8
""")


class MigrationLocked(Failure):
    """Somebody holds a lock that the migration needs."""

    code = "MIGRATION_LOCKED"


def take_turn(connection: Connection, *, seconds: float) -> None:
    """Hold the turn until the connection ends. Raises MigrationLocked where somebody else has it for that long.

    Asked for again and again, not waited for: a statement that waits keeps its snapshot, and an index that the other
    one builds concurrently waits for every snapshot. PostgreSQL ends one of the two as a deadlock.
    """
    until = time.monotonic() + seconds
    ask = text("SELECT pg_try_advisory_lock(:lock)")
    while not connection.execute(ask, {"lock": TURN}).scalar():
        connection.rollback()
        if time.monotonic() >= until:
            raise _locked(connection, waited=f"{seconds:g}s", statement="the turn to migrate")
        time.sleep(_ASK_AGAIN_SECONDS)
    connection.commit()


@contextmanager
def explained(connection: Connection, *, waited: str) -> Iterator[None]:
    """Raises MigrationLocked where what runs within gives up waiting for a lock; anything else as it comes."""
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "pgcode", None) != _LOCK_NOT_AVAILABLE:
            raise
        connection.rollback()
        statement = " ".join((error.statement or "").split())[:_STATEMENT_CHARACTERS]
        raise _locked(connection, waited=waited, statement=statement) from error


def _locked(connection: Connection, *, waited: str, statement: str) -> MigrationLocked:
    found = connection.execute(_HOLDERS, {"turn": TURN}).all()
    connection.rollback()
    holders = [f"{table} by {who} (process {pid})" for pid, who, table in found]
    return MigrationLocked(
        f"Waited {waited} for a lock and gave up, so that nobody queues behind it: {statement}\n"
        f"Held now: {', '.join(holders) or 'nothing any more'}.\n"
        "The tables are as they were before that migration, and the version that runs goes on. Run it again once "
        "that transaction has ended; `SELECT pg_terminate_backend(<process>)` as the superuser ends it."
    )
