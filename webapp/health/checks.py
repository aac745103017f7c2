"""The two questions readiness asks. Each raises its own kind of error and never waits longer than it is told."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, text
from sqlalchemy.exc import NoResultFound, ProgrammingError

from webapp import waiting
from webapp.database.compatibility import READ, Tables, mismatch
from webapp.database.heads import chain, head
from webapp.storage import ObjectStore


class TablesUnfit(Exception):
    """The database answers, but this code does not work with its tables."""


@dataclass(frozen=True)
class DatabaseCheck:
    """Connects anew, so that it proves that one can, and reads whether this code works with the tables.

    Up where they are at this code's own migration, or at a newer one that says that this code works with it.

    Not from the application's pool: requests that use it up must not make a healthy database look down.
    """

    engine: Engine
    seconds: float

    def __call__(self) -> None:
        """Raises sqlalchemy's OperationalError where the database is down, TablesUnfit."""
        with waiting.at_most(self.seconds), self.engine.connect() as connection:
            try:
                tables = Tables.read(*connection.execute(text(READ)).one())
            except (ProgrammingError, NoResultFound):
                tables = Tables(None)
        known = frozenset(revision.id for revision in chain())
        if reason := mismatch(tables, head=head(), known=known):
            raise TablesUnfit(reason)


@dataclass(frozen=True)
class StoreCheck:
    """Asks for the bucket with this process's own key, so it proves address, signature and right at once."""

    store: ObjectStore

    def __call__(self) -> None:
        """Raises StorageUnavailable or StorageError."""
        self.store.check()
