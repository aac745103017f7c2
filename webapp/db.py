"""PostgreSQL: the models' base, the names of constraints, and the one way to open a transaction."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol
from uuid import UUID

import orjson
import psycopg2
from flask import current_app
from psycopg2 import extensions
from psycopg2.extras import NamedTupleCursor
from sqlalchemy import Connection, Engine, MetaData, NullPool, PoolResetState, Row, create_engine, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.orm import DeclarativeBase, Session, SessionTransaction, sessionmaker

from webapp import logs, waiting
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

# Who PostgreSQL's log says has asked, with the request's id after it.
APPLICATION = "moorage"
_LONGEST_NAME = 63
# The name is not local to the transaction: a statement that is one by itself is logged after its end. Every transaction
# sets its own.
_NAMED = "set_config('application_name', %(_asks)s, false)"
# Sent together, statements are one transaction (PostgreSQL: "Multiple Statements in a Simple Query").
_CLAIMED = f"SELECT set_config('request.jwt.claims', %(_claims)s, true), {_NAMED}; "
_SET_CLAIMS = text("SELECT set_config('request.jwt.claims', :claims, true)")
_AS_TENANT = "SELECT set_config('request.jwt.claims', %(claims{n})s, true)"
_BEGIN = f"BEGIN; {_CLAIMED}"
_FIRST, _FIRST_ROWS = "first statement", "rows of the first statement"


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)


def engine_for(
    url: DatabaseUrl, *, pool_size: int, application: str = APPLICATION, isolation_level: str | None = None
) -> Engine:
    """An engine that connects when first used; `pool_size` 0 means a new connection every time."""
    waiting.install()
    pool: dict[str, Any] = (
        {
            "pool_size": pool_size,
            "max_overflow": 0,
            "pool_timeout": POOL_TIMEOUT_SECONDS,
        }
        if pool_size
        else {"poolclass": NullPool}
    )
    limits = f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
    limits += f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_MS}"
    connect = {"application_name": application, "options": limits, **KEEPALIVE}
    # An error's text goes into the log: it must not carry the values of a statement.
    if isolation_level:
        pool["isolation_level"] = isolation_level
    # A large float is kept as a numeric of 300 digits. The standard library reads that as an integer, which orjson
    # then cannot write into an answer; orjson reads it as the float that it was.
    pool["json_deserializer"] = orjson.loads
    engine = create_engine(url.render("postgresql+psycopg2"), connect_args=connect, hide_parameters=True, **pool)
    event.listen(engine, "checkout", _still_there)
    return engine


class Meter(Protocol):
    """Who hears of statements and connections. Given and not imported: metrics must not be loaded too early."""

    def took(self, seconds: float, statement: str) -> None: ...

    def held(self, change: int) -> None: ...


class Database:
    """The application's connections: at most `pool_size`, opened when needed.

    The driver would send BEGIN, the claims and COMMIT each by itself. So it is told to leave transactions alone:
    BEGIN travels with the claims here, COMMIT when the session commits, and a connection that comes back to the pool
    in the middle of a transaction is rolled back.
    """

    def __init__(self, url: DatabaseUrl, *, pool_size: int, meter: Meter | None = None) -> None:
        self.engine = engine_for(url, pool_size=pool_size, isolation_level="AUTOCOMMIT")
        self._meter = meter
        if meter is not None:
            _measure(self.engine, meter)
        self._sessions = sessionmaker(self.engine)
        event.listen(self._sessions, "after_begin", _begin)
        event.listen(self.engine, "commit", _commit)
        event.listen(self.engine, "reset", _roll_back)

    @contextmanager
    def transaction(self, tenant: UUID | None = None, **further: str) -> Iterator[Session]:
        """A session that commits at the end and rolls back on any error.

        Row level security shows it the rows of `tenant`; without one, no tenant's rows at all. `further` claims open
        what few policies name beside the tenant (migrations/policies.py: `sub`, `email`, …).
        Raises sqlalchemy.exc.OperationalError where PostgreSQL is down, TimeoutError where the pool is used up.
        """
        with self._sessions(info={"claims": claims_of(tenant, further)}) as session, session.begin():
            yield session

    def for_tenants(self, statement: str, work: Sequence[tuple[UUID, Mapping[str, Any]]]) -> None:
        """A statement once for each tenant, as that tenant and with its values, in one round trip and one transaction.

        In `statement` a value is `%(name{n})s`. Raises what `transaction` raises; then nothing of it was done.
        """
        statements: list[str] = []
        values: dict[str, Any] = {}
        for n, (tenant, given) in enumerate(work):
            statements += [_AS_TENANT.format(n=n), statement.format(n=n)]
            values[f"claims{n}"] = _told(claims_of(tenant, {}))
            values |= {f"{name}{n}": value for name, value in given.items()}
        self.at_once(";".join(statements), values)

    def at_once(
        self, statement: str, values: Mapping[str, Any], *, tenant: UUID | None = None, **further: str
    ) -> list[Any]:
        """The rows of a statement that is a transaction by itself: claims, work and commit in one round trip.

        For hot paths. Rows are named tuples. `statement` has `%(name)s` for values; of several, separated by
        semicolons, the last one's rows are returned, and an error undoes all of them. Raises what `transaction` raises.
        """
        claims = _told(claims_of(tenant, further))
        # Straight on the driver: SQLAlchemy's own way around a statement costs twice the statement.
        try:
            connection: Any = self.engine.raw_connection()
        except psycopg2.Error as error:
            raise _wrapped(error) from error
        try:
            with connection.cursor(cursor_factory=NamedTupleCursor) as cursor:
                began = time.perf_counter()
                cursor.execute(_CLAIMED + statement, {**values, "_claims": claims, "_asks": _asks()})
                if self._meter is not None:
                    self._meter.took(time.perf_counter() - began, statement)
                return cursor.fetchall() if cursor.description else []
        except psycopg2.Error as error:
            if connection.dbapi_connection is None or connection.dbapi_connection.closed:
                connection.invalidate(error)
            raise _wrapped(error) from error
        finally:
            connection.close()


def _measure(engine: Engine, meter: Meter) -> None:
    def began(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        context.began = time.perf_counter()

    def ended(_connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:
        meter.took(time.perf_counter() - context.began, statement.removeprefix(_BEGIN))

    event.listen(engine, "before_cursor_execute", began)
    event.listen(engine, "after_cursor_execute", ended)
    event.listen(engine, "checkout", lambda *_: meter.held(1))
    event.listen(engine, "checkin", lambda *_: meter.held(-1))


def ask_first(session: Session, statement: str, values: Mapping[str, Any]) -> list[Row[Any]]:
    """The rows of a statement (`%(name)s` for values) that travels with the transaction's BEGIN, to save a round trip;
    by itself where the transaction has begun."""
    session.info[_FIRST] = (statement, values)
    connection = session.connection()
    if session.info.pop(_FIRST, None):
        return list(connection.exec_driver_sql(statement, values).all())
    rows: list[Row[Any]] = session.info.pop(_FIRST_ROWS)
    return rows


def claim_also(session: Session, **further: str) -> None:
    """From here on this transaction claims more, or (`tenant_id`) otherwise: where what is to be opened is only learnt
    on the way, such as a user's id from their e-mail address."""
    session.info["claims"] = {**session.info.get("claims", {}), **further}
    told = {"claims": _told(session.info["claims"])}
    session.connection().exec_driver_sql("SELECT set_config('request.jwt.claims', %(claims)s, true)", told)


def claims_of(tenant: UUID | None, further: Mapping[str, str]) -> dict[str, str]:
    """What row level security is told of whoever asks."""
    return {**({"tenant_id": str(tenant)} if tenant else {}), **further}


@contextmanager
def claiming(session: Session, tenant: UUID | None, **further: str) -> Iterator[None]:
    """Within, the session's transaction claims this instead: for callers whose tenant is found out on the way (an
    agent that registers with a code, a user who logs in). What it claimed before holds again afterwards."""
    before = session.info.get("claims") or {}
    _claim(session, claims_of(tenant, further))
    yield  # an error in there ends the transaction, and with it what it claims
    _claim(session, before)


def _claim(session: Session, claims: Mapping[str, str]) -> None:
    session.flush()
    session.info["claims"] = dict(claims)
    session.execute(_SET_CLAIMS, {"claims": _told(claims)})


def transaction(tenant: UUID | None = None, **further: str) -> AbstractContextManager[Session]:
    """`Database.transaction` of the application that answers this request."""
    database: Database = current_app.extensions["moorage"].database
    return database.transaction(tenant, **further)


def _begin(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    # Local to the transaction, hence lost at a commit in mid-request: set whenever one begins.
    # PostgREST and Supabase read the same setting, so the policies hold whichever door a request came by.
    statement, values = session.info.pop(_FIRST, ("", {}))
    told = _told(session.info.get("claims", {}))
    rows = connection.exec_driver_sql(_BEGIN + statement, {**values, "_claims": told, "_asks": _asks()})
    if statement:
        session.info[_FIRST_ROWS] = list(rows.all())


def _commit(connection: Connection) -> None:
    match _status(connection.connection.dbapi_connection):
        case extensions.TRANSACTION_STATUS_INTRANS:
            connection.exec_driver_sql("COMMIT")
        case extensions.TRANSACTION_STATUS_INERROR:
            # PostgreSQL would answer COMMIT with a rollback and no error: success that was not.
            raise RuntimeError("a statement of this transaction failed, and its error was not let through")


def _roll_back(connection: Any, _record: object, state: PoolResetState) -> None:
    if not state.terminate_only and _status(connection) != extensions.TRANSACTION_STATUS_IDLE:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")


def _wrapped(error: psycopg2.Error) -> Exception:
    """As SQLAlchemy raises it, without statement and values."""
    return DBAPIError.instance("", None, error, psycopg2.Error, hide_parameters=True)


def _status(connection: Any) -> int:
    return int(connection.info.transaction_status)


def _asks() -> str:
    current = logs.request_id.get()
    return f"{APPLICATION} {current}"[:_LONGEST_NAME] if current else APPLICATION


def _told(claims: Mapping[str, str]) -> str:
    # Empty where there are none: what an unset setting reads as, too.
    return orjson.dumps(claims).decode() if claims else ""


def _still_there(connection: Any, _record: object, _proxy: object) -> None:
    # Instead of a ping, which costs every request a round trip: a server that went away has closed the socket.
    if waiting.has_something_to_say(connection):
        raise DisconnectionError("the server closed this connection while it was idle")
