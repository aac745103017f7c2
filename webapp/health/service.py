"""Readiness: the checks run side by side, each within its own time-out, and say how long they took."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy.exc import SQLAlchemyError

from webapp.db import engine_for
from webapp.errors import MoorageError
from webapp.health.checks import DatabaseCheck, StoreCheck, TablesUnfit
from webapp.redaction import redact_text
from webapp.settings import Settings
from webapp.storage import ObjectStore

log = logging.getLogger("moorage.health")

DATABASE, STORE = "database", "object_store"

# Of the whole time-out: the checks end by themselves a little before the answer has to be on its way.
CHECK_SHARE, WAIT_SHARE = 0.8, 0.9
# A hanging dependency holds a thread until its check's time-out; probes beyond these wait their turn, and say so.
THREADS = 8


@dataclass(frozen=True)
class Outcome:
    """What one check saw. `reason` says why it is down, in words that hold no secret."""

    up: bool
    latency_ms: float
    reason: str = ""

    def view(self) -> dict[str, object]:
        facts: dict[str, object] = {"status": "up" if self.up else "down", "latency_ms": self.latency_ms}
        return facts | ({"error": self.reason} if self.reason else {})


class Health:
    """Runs named checks. The threads are made with the first question, after gunicorn has forked."""

    def __init__(self, checks: Mapping[str, Callable[[], None]], *, timeout_seconds: float) -> None:
        self._checks = dict(checks)
        self._timeout = timeout_seconds
        self.started = time.monotonic()

    @classmethod
    def of(cls, settings: Settings) -> Health:
        seconds = settings.readiness_timeout_seconds * CHECK_SHARE
        # Half for each: connecting and asking are two waits in a row, for the database as for the store.
        engine = engine_for(settings.database_url, pool_size=0, application="moorage-health")
        store = ObjectStore.of(settings, answers_within=seconds / 2)
        checks: dict[str, Callable[[], None]] = {DATABASE: DatabaseCheck(engine, seconds / 2), STORE: StoreCheck(store)}
        return cls(checks, timeout_seconds=settings.readiness_timeout_seconds)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(THREADS, thread_name_prefix="health")

    def uptime_seconds(self) -> float:
        return round(time.monotonic() - self.started, 3)

    def outcomes(self) -> dict[str, Outcome]:
        """Every check's outcome, within the time-out whatever hangs."""
        end = time.monotonic() + self._timeout * WAIT_SHARE
        began = time.perf_counter()
        running = {name: self._threads.submit(_run, check) for name, check in self._checks.items()}
        outcomes = {name: _result(future, end, began) for name, future in running.items()}
        for name, outcome in outcomes.items():
            if not outcome.up:
                log.warning("not ready", extra={"dependency": name, "reason": outcome.reason})
        return outcomes


def _run(check: Callable[[], None]) -> Outcome:
    began = time.perf_counter()
    try:
        check()
    except (SQLAlchemyError, MoorageError, TablesUnfit) as error:
        return Outcome(False, _ms(began), _reason(error))
    return Outcome(True, _ms(began))


def _result(future: Future[Outcome], end: float, began: float) -> Outcome:
    try:
        return future.result(timeout=max(0.0, end - time.monotonic()))
    except StillRunning:
        future.cancel()
        return Outcome(False, _ms(began), "no answer within the time-out")


def _reason(error: Exception) -> str:
    # The first line of the driver's own words; SQLAlchemy adds the statement and a link, of no use here.
    words = str(getattr(error, "orig", None) or error).strip()
    return redact_text(words.splitlines()[0] if words else type(error).__name__)


def _ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
