"""Running the migrations, as the owner of the tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, NullPool, create_engine, text

import migrations
from webapp.settings import Settings, SettingsError
from webapp.variables import DatabaseUrl

# A migration that cannot have its lock gives up before requests queue behind it for long.
LOCK_TIMEOUT = "5s"
# Another set-up at the same time waits for this one, and then finds nothing to do.
_MIGRATION_LOCK = 0x6D6F6F73


def owner_url(settings: Settings) -> DatabaseUrl:
    """Raises SettingsError where this process has not been given it."""
    if settings.database_owner_url is None:
        raise SettingsError("DATABASE_OWNER_URL is missing: migrations run as the owner of the tables.")
    return settings.database_owner_url


def upgrade(owner: DatabaseUrl, *, application: str, target: str = "head") -> bool:
    """Migrate up to `target`; True where that changed anything. `application` is the role that may only read
    which revision the tables are at.

    Raises sqlalchemy.exc.DBAPIError; what had been migrated before the failing one stays.
    """
    with _migrating(owner) as connection:
        before = _revision(connection)
        command.upgrade(_config(connection), target)
        _guard_revision(connection, application)
        return _revision(connection) != before


def downgrade(owner: DatabaseUrl, *, target: str) -> None:
    with _migrating(owner) as connection:
        command.downgrade(_config(connection), target)


def current(owner: DatabaseUrl) -> str | None:
    """The revision that the tables are at, None where no migration has run."""
    with _migrating(owner) as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    revision = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    return revision


def _guard_revision(connection: Connection, application: str) -> None:
    known = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": application}).scalar()
    if known:
        name = connection.dialect.identifier_preparer.quote_identifier(application)
        connection.execute(text(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON alembic_version FROM {name}"))
    connection.commit()


@contextmanager
def _migrating(owner: DatabaseUrl) -> Iterator[Connection]:
    engine = create_engine(
        owner.render("postgresql+psycopg2"),
        poolclass=NullPool,
        connect_args={"connect_timeout": 10, "application_name": "moorage-migrations"},
    )
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        connection.execute(text("SELECT set_config('lock_timeout', :limit, false)"), {"limit": LOCK_TIMEOUT})
        connection.commit()
        yield connection


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    # alembic splits this on blanks unless told what separates paths.
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
