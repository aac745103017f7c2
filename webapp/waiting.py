"""How psycopg2 waits for PostgreSQL: never for ever, and without stopping gevent's other greenlets.

libpq has no time-out for a server that takes a connection and then says nothing (its `connect_timeout` does not
hold for asynchronous connecting, which is what gevent needs). One callback for threads and greenlets alike:
`select.poll` is gevent's own once the sockets process has patched the standard library.
A connection that ran into its limit is closed by psycopg2, and SQLAlchemy drops it from the pool.
COPY is refused by psycopg2 while a callback is set: it belongs to the worker, which has psycopg.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg2
from psycopg2 import extensions

# Longer than the statement_timeout that the server keeps (db.py): it is for servers that keep nothing any more.
LONGEST_SECONDS = 35.0
_limit: ContextVar[float] = ContextVar("longest wait for PostgreSQL, in seconds", default=LONGEST_SECONDS)

_EVENTS = {extensions.POLL_READ: select.POLLIN, extensions.POLL_WRITE: select.POLLOUT}


class ServerSilent(psycopg2.OperationalError):
    """PostgreSQL did not answer within the limit."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Within, no single connect or statement of this thread waits longer than that (raises ServerSilent)."""
    before = _limit.set(seconds)
    try:
        yield
    finally:
        _limit.reset(before)


def install() -> None:
    """Make every psycopg2 connection of this process wait this way. Doing it again changes nothing."""
    extensions.set_wait_callback(_wait)


def has_something_to_say(connection: Any) -> bool:
    """Whether an idle connection has bytes or an end to be read. Asks the kernel, and does not wait."""
    poll = select.poll
    if "gevent" in sys.modules:
        from gevent import monkey  # noqa: PLC0415 - only the sockets process has it

        # gevent's own takes a turn of its loop, which for 5,000 sockets is seconds.
        poll = monkey.get_original("select", "poll")
    poller = poll()
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))


def _wait(connection: Any) -> None:
    end = time.monotonic() + _limit.get()
    while (state := connection.poll()) != extensions.POLL_OK:
        if state not in _EVENTS:
            raise psycopg2.OperationalError(f"unexpected state {state} of a PostgreSQL connection")
        poller = select.poll()
        poller.register(connection.fileno(), _EVENTS[state])
        left = end - time.monotonic()
        if left <= 0 or not poller.poll(left * 1000):
            raise ServerSilent(f"PostgreSQL did not answer within {_limit.get():g} s")
