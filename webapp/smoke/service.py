"""What a release is tried with before it is believed: from inside its own container, with its own settings."""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from webapp import waiting
from webapp.database.compatibility import READ, Tables, mismatch
from webapp.database.heads import chain, head
from webapp.db import engine_for
from webapp.errors import MoorageError
from webapp.object_store import service as object_store
from webapp.object_store.service import Seen
from webapp.redaction import redact_text
from webapp.settings import Settings

# A release has 20 s in all, and a database that takes longer than this for a single row is not well.
SECONDS = 5.0

_ROLE = text("SELECT current_user, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")


def stack(settings: Settings) -> list[Seen]:
    """The database and the object store as this process has them. A part that fails does not keep the other from
    being tried; nothing is raised for either, and nothing stays behind."""
    return [*_database(settings), *_store(settings)]


def _database(settings: Settings) -> list[Seen]:
    engine = engine_for(settings.database_url, pool_size=0, application="moorage-smoke")
    seen: list[Seen] = []
    try:
        with waiting.at_most(SECONDS), engine.connect() as connection:
            seen.append(_query(connection))
            seen.append(_revision(connection))
    except SQLAlchemyError as error:
        what = "revision" if seen else "query"
        seen.append(Seen(what, False, redact_text(str(getattr(error, "orig", None) or error).strip())))
    finally:
        engine.dispose()
    return seen


def _query(connection: Connection) -> Seen:
    user, unbound = connection.execute(_ROLE).one()
    detail = f"as {user}" + (", whom row level security does not bind" if unbound else "")
    return Seen("query", not unbound, detail)


def _revision(connection: Connection) -> Seen:
    tables = Tables.read(*connection.execute(text(READ)).one())
    reason = mismatch(tables, head=head(), known=frozenset(revision.id for revision in chain()))
    return Seen("revision", reason is None, reason or f"tables at {tables.at}, code at {head()}")


def _store(settings: Settings) -> list[Seen]:
    try:
        return object_store.check(settings, answers_within=SECONDS)
    except MoorageError as error:
        return [Seen("object store", False, redact_text(str(error)))]
