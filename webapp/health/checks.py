"""The two questions readiness asks. Each raises its own kind of error and never waits longer than it is told."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from webapp import waiting
from webapp.database.heads import head
from webapp.storage import ObjectStore


class MigrationsBehind(Exception):
    """The database answers, but its tables are of another version than this code."""


@dataclass(frozen=True)
class DatabaseCheck:
    """Connects anew, so that it proves that one can, and reads which migration the tables are at.

    Not from the application's pool: requests that use it up must not make a healthy database look down.
    """

    engine: Engine
    seconds: float

    def __call__(self) -> None:
        """Raises sqlalchemy's OperationalError where the database is down, MigrationsBehind."""
        with waiting.at_most(self.seconds), self.engine.connect() as connection:
            try:
                current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
            except ProgrammingError as error:
                raise MigrationsBehind("no migration has run: `moorage db upgrade`") from error
        if current != head():
            raise MigrationsBehind(f"tables at {current}, code at {head()}: `moorage db upgrade`")


@dataclass(frozen=True)
class StoreCheck:
    """Asks for the bucket with this process's own key, so it proves address, signature and right at once."""

    store: ObjectStore

    def __call__(self) -> None:
        """Raises StorageUnavailable or StorageError."""
        self.store.check()
