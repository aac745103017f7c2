"""Wake-ups between processes: short words over PostgreSQL's LISTEN and NOTIFY, one connection a process.

A word only says that it is worth looking; what it is about stands in the tables. Words are lost while the connection
is down, so whoever listens is told of each gap, and then looks by itself.
"""

from __future__ import annotations

import contextlib
import logging
import select
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg2
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import waiting
from webapp.db import KEEPALIVE
from webapp.variables import DatabaseUrl

log = logging.getLogger("moorage.wakeups")

CHANNEL = "moorage_wake"
_SAY = text("SELECT pg_notify(:channel, :word)")

# A server that went away without a word is noticed after these two.
QUIET_SECONDS = 15.0
ANSWER_SECONDS = 5.0
LOOK_SECONDS = 1.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 2.0


def say(session: Session, word: str) -> None:
    """To every process that listens, when the session's transaction commits."""
    session.execute(_SAY, {"channel": CHANNEL, "word": word})


class Wakeups:
    """Listens for ever, in a thread or greenlet that the first `start` begins; connects again when it must."""

    def __init__(self, url: DatabaseUrl, *, word: Callable[[str], None], gap: Callable[[], None]) -> None:
        """`word` is called for each word, `gap` whenever words may have been missed. Neither may wait."""
        self._url, self._word, self._gap = url, word, gap
        self._lock = threading.Lock()
        self._started = False
        self._stopped = threading.Event()

    def start(self) -> None:
        """Doing it again changes nothing. In the process that serves, never in the one that forks it."""
        with self._lock:
            if self._started:
                return
            self._started = True
        threading.Thread(target=self._run, name="wakeups", daemon=True).start()

    def stop(self) -> None:
        """The connection is closed within LOOK_SECONDS."""
        self._stopped.set()

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                self._listen()
            except (psycopg2.Error, OSError, ValueError) as error:
                log.warning("no wake-ups from the database: connecting again", extra={"reason": str(error).strip()})
            pause = FIRST_PAUSE_SECONDS if time.monotonic() - began > QUIET_SECONDS else pause * 2
            self._stopped.wait(min(pause, LONGEST_PAUSE_SECONDS))

    def _listen(self) -> None:
        """Returns after `stop`. Raises psycopg2's errors where the connection is lost."""
        waiting.install()
        with waiting.at_most(ANSWER_SECONDS):
            options: dict[str, Any] = {"application_name": "moorage-wakeups", **KEEPALIVE}
            connection = psycopg2.connect(self._url.render(), **options)
            with contextlib.closing(connection):
                connection.autocommit = True
                cursor = connection.cursor()
                cursor.execute(f"LISTEN {CHANNEL}")
                self._gap()
                poller = select.poll()
                poller.register(connection.fileno(), select.POLLIN)
                heard = time.monotonic()
                while not self._stopped.is_set():
                    if poller.poll(LOOK_SECONDS * 1000):
                        connection.poll()
                        heard = time.monotonic()
                    elif time.monotonic() - heard >= QUIET_SECONDS:
                        cursor.execute("SELECT 1")
                        heard = time.monotonic()
                    self._pass_on(connection)

    def _pass_on(self, connection: Any) -> None:
        waiting_words = connection.notifies
        while waiting_words:
            try:
                self._word(waiting_words.pop(0).payload)
            except Exception:
                log.exception("a wake-up could not be passed on")
