"""PostgreSQL: the models' base, the names of constraints, and the one way to open a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import UUID

import orjson
from flask import current_app
from sqlalchemy import Connection, Engine, MetaData, NullPool, create_engine, event, text
from sqlalchemy.orm import DeclarativeBase, Session, SessionTransaction, sessionmaker

from webapp import waiting
from webapp.variables import DatabaseUrl

# Alembic can only drop or change what has a name that is the same everywhere.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# A request is over long before; a statement that outlives it only holds locks. Milliseconds, kept by the server.
STATEMENT_TIMEOUT_MS = 30_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
# A dead peer is noticed within idle + interval * count = 16 s.
KEEPALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 16_000,
}
# Waiting for a free connection longer than this is overload, and is answered with 503.
POOL_TIMEOUT_SECONDS = 5

_SET_CLAIMS = text("SELECT set_config('request.jwt.claims', :claims, true)")


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


def engine_for(url: DatabaseUrl, *, pool_size: int, application: str = "moorage") -> Engine:
    """An engine that connects when first used; `pool_size` 0 means a new connection every time."""
    waiting.install()
    pool = (
        {
            "pool_size": pool_size,
            "max_overflow": 0,
            "pool_timeout": POOL_TIMEOUT_SECONDS,
            "pool_pre_ping": True,
        }
        if pool_size
        else {"poolclass": NullPool}
    )
    limits = f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
    limits += f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_MS}"
    connect = {"application_name": application, "options": limits, **KEEPALIVE}
    # An error's text goes into the log: it must not carry the values of a statement.
    return create_engine(url.render("postgresql+psycopg2"), connect_args=connect, hide_parameters=True, **pool)


class Database:
    """The application's connections: at most `pool_size`, opened when needed."""

    def __init__(self, url: DatabaseUrl, *, pool_size: int) -> None:
        self.engine = engine_for(url, pool_size=pool_size)
        self._sessions = sessionmaker(self.engine)
        event.listen(self._sessions, "after_begin", _set_claims)

    @contextmanager
    def transaction(self, tenant: UUID | None = None) -> Iterator[Session]:
        """A session that commits at the end and rolls back on any error.

        Row level security shows it the rows of `tenant`; without one, no tenant's rows at all.
        Raises sqlalchemy.exc.OperationalError where PostgreSQL is down, TimeoutError where the pool is used up.
        """
        claims = {"tenant_id": str(tenant)} if tenant else {}
        with self._sessions(info={"claims": claims}) as session, session.begin():
            yield session


def transaction(tenant: UUID | None = None) -> AbstractContextManager[Session]:
    """`Database.transaction` of the application that answers this request."""
    database: Database = current_app.extensions["moorage"].database
    return database.transaction(tenant)


def _set_claims(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    # Local to the transaction, hence lost at a commit in mid-request: set whenever one begins.
    # PostgREST and Supabase read the same setting, so the policies hold whichever door a request came by.
    claims = session.info.get("claims")
    if claims:
        connection.execute(_SET_CLAIMS, {"claims": orjson.dumps(claims).decode()})
