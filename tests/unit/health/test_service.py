"""Readiness with plain functions for checks: side by side, in time, and in words without secrets."""

from __future__ import annotations

import threading
import time

from sqlalchemy.exc import OperationalError

from webapp.errors import StorageUnavailable
from webapp.health.service import Health


def test_checks_run_side_by_side() -> None:
    both = threading.Barrier(2, timeout=2)
    outcomes = Health({"a": both.wait, "b": both.wait}, timeout_seconds=2).outcomes()
    assert all(outcome.up for outcome in outcomes.values())


def test_one_that_hangs_is_down_in_time_and_the_other_is_not() -> None:
    forever = threading.Event()
    began = time.monotonic()
    outcomes = Health({"stuck": forever.wait, "fine": lambda: None}, timeout_seconds=0.5).outcomes()
    assert time.monotonic() - began < 0.5
    assert not outcomes["stuck"].up and "time-out" in outcomes["stuck"].reason
    assert outcomes["fine"].up
    forever.set()


def test_many_that_hang_do_not_make_threads_without_end() -> None:
    forever = threading.Event()
    health = Health({"stuck": forever.wait}, timeout_seconds=0.05)
    before = threading.active_count()
    for _ in range(20):
        assert not health.outcomes()["stuck"].up
    assert threading.active_count() - before <= 8
    forever.set()


def test_the_reason_is_the_drivers_first_line_without_secrets() -> None:
    def down() -> None:
        raise OperationalError("SELECT", {}, Exception("no route to postgresql://u:canary@h/d\nDETAIL: more"))

    def refused() -> None:
        raise StorageUnavailable

    outcomes = Health({"a": down, "b": refused}, timeout_seconds=1).outcomes()
    assert outcomes["a"].reason == "no route to postgresql://u:***@h/d"
    assert outcomes["b"].view()["status"] == "down" and outcomes["b"].reason
