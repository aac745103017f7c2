"""Running the migrations, as the owner of the tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, NullPool, create_engine, text

from webapp.database import heads, locks
from webapp.database.compatibility import READ, Tables, comment, mismatch
from webapp.failures import Failure
from webapp.settings import Settings, SettingsError
from webapp.variables import DatabaseUrl

# A migration that cannot have its lock gives up before requests queue behind it for long.
LOCK_TIMEOUT = "5s"
# Two set-ups at the same time take turns; one that hangs is not waited for.
TURN_SECONDS = 120.0


class TablesTooNew(Failure):
    """A newer version has migrated the tables, and this one does not work with them any more."""

    code = "TABLES_TOO_NEW"


@dataclass(frozen=True)
class Upgraded:
    """What `upgrade` did. `ahead`: the tables were newer than this code, which works with them, and were left."""

    changed: bool
    at: str | None
    ahead: bool = False

    @property
    def words(self) -> str:
        """For people; begins with `changed` or `unchanged`."""
        if self.ahead:
            return f"unchanged: tables at {self.at}, newer than this version ({heads.head()}), which works with them"
        return "changed" if self.changed else "unchanged"


def owner_url(settings: Settings) -> DatabaseUrl:
    """Raises SettingsError where this process has not been given it."""
    if settings.database_owner_url is None:
        raise SettingsError("DATABASE_OWNER_URL is missing: migrations run as the owner of the tables.")
    return settings.database_owner_url


def upgrade(owner: DatabaseUrl, *, application: str, target: str = "head") -> Upgraded:
    """Migrate up to `target`, and leave in the database which versions work with the result.

    `application` is the role that may only read which revision the tables are at. What had been migrated before a
    failing migration stays. Raises TablesTooNew, MigrationLocked, sqlalchemy.exc.DBAPIError.
    """
    with _migrating(owner) as connection:
        before = _tables(connection)
        if before.at and before.at not in known():
            return _left_alone(before)
        with locks.explained(connection, waited=LOCK_TIMEOUT):
            command.upgrade(_config(connection), target)
        _guard_revision(connection, application)
        _say_what_works(connection)
        after = _tables(connection)
        return Upgraded(after != before, after.at)


def downgrade(owner: DatabaseUrl, *, target: str) -> None:
    """Raises MigrationLocked, sqlalchemy.exc.DBAPIError."""
    with _migrating(owner) as connection, locks.explained(connection, waited=LOCK_TIMEOUT):
        command.downgrade(_config(connection), target)


def current(owner: DatabaseUrl) -> Tables:
    """The revision that the tables are at, and who works with them."""
    with _migrating(owner) as connection:
        return _tables(connection)


def known() -> frozenset[str]:
    """The revisions that this code has migrations for."""
    return frozenset(revision.id for revision in heads.chain())


def _left_alone(tables: Tables) -> Upgraded:
    reason = mismatch(tables, head=heads.head(), known=known())
    if reason is None:
        return Upgraded(changed=False, at=tables.at, ahead=True)
    raise TablesTooNew(
        f"A newer version has migrated this database: {reason}. Nothing was changed. Migrations are not undone by "
        "older code, which does not know them; to return to the tables as they were, restore the dump that the "
        "deploy took before it migrated."
    )


def _tables(connection: Connection) -> Tables:
    if MigrationContext.configure(connection).get_current_revision() is None:
        tables = Tables(None)
    else:
        tables = Tables.read(*connection.execute(text(READ)).one())
    connection.rollback()
    return tables


def _say_what_works(connection: Connection) -> None:
    # Also where nothing was migrated: a database from before there were comments gets its own.
    tables = _tables(connection)
    if tables.at and tuple(heads.works_with(tables.at, heads.chain())) != tables.works_with:
        _comment(connection, tables.at)
        connection.commit()


def _applied(*, ctx: MigrationContext, heads: set[str], **_: object) -> None:
    """Called by Alembic within each migration's transaction: tables never stand without saying who works with them,
    and never with what was true before."""
    assert ctx.connection is not None  # noqa: S101 - offline mode has none, and we never run in it
    for at in heads:
        _comment(ctx.connection, at)


def _comment(connection: Connection, at: str) -> None:
    said = comment(heads.works_with(at, heads.chain())).replace("'", "''")
    connection.exec_driver_sql(f"COMMENT ON TABLE alembic_version IS '{said}'")


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
        locks.take_turn(connection, seconds=TURN_SECONDS)
        connection.execute(text("SELECT set_config('lock_timeout', :limit, false)"), {"limit": LOCK_TIMEOUT})
        connection.commit()
        yield connection


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(heads.VERSIONS.parent).replace("%", "%%"))
    # alembic splits this on blanks unless told what separates paths.
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, on_version_apply=_applied)
    return config
