"""Guessing protection: a minute's attempts, and a lock that doubles."""

from __future__ import annotations

from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import text

from tests.api.people import its
from webapp.auth.service import attempts
from webapp.db import Database
from webapp.limits import RateLimited


@pytest.fixture
def database(app: Flask) -> Database:
    return its(app).database


@pytest.fixture
def subject() -> str:
    return f"test:{uuid4()}"


def later(database: Database, subject: str, seconds: int) -> None:
    """What is kept of a subject, as if it had happened so much earlier."""
    with database.transaction(subject=subject) as session:
        session.execute(
            text(
                "UPDATE auth_attempts SET window_started_at = window_started_at - make_interval(secs => :s),"
                " locked_until = locked_until - make_interval(secs => :s) WHERE subject = :subject"
            ),
            {"s": seconds, "subject": subject},
        )


def test_a_minute_has_so_many_attempts_and_the_next_one_has_them_again(database: Database, subject: str) -> None:
    for _ in range(3):
        attempts.check(database, subject, limit=3)
    with pytest.raises(RateLimited) as refused:
        attempts.check(database, subject, limit=3)
    assert 1 <= refused.value.spent.reset <= 60
    later(database, subject, 60)
    attempts.check(database, subject, limit=3)


def test_zero_is_any_number(database: Database, subject: str) -> None:
    for _ in range(20):
        attempts.failed(database, subject)
        attempts.check(database, subject, limit=0)


def test_the_fifth_failure_locks_and_each_further_one_for_twice_as_long(database: Database, subject: str) -> None:
    for _ in range(4):
        attempts.failed(database, subject)
    attempts.check(database, subject, limit=1000)
    waits = []
    for _ in range(12):
        attempts.failed(database, subject)
        with pytest.raises(RateLimited) as refused:
            attempts.check(database, subject, limit=1000)
        waits.append(refused.value.spent.reset)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_a_lock_ends_and_success_forgets_failures(database: Database, subject: str) -> None:
    for _ in range(6):
        attempts.failed(database, subject)
    later(database, subject, 3)
    attempts.check(database, subject, limit=1000)
    attempts.cleared(database, subject)
    attempts.failed(database, subject)
    attempts.check(database, subject, limit=1000)


def test_a_subject_is_seen_only_by_whoever_names_it(database: Database, subject: str) -> None:
    attempts.failed(database, subject)
    with database.transaction(uuid4(), subject="another") as session:
        seen = session.execute(text("SELECT count(*) FROM auth_attempts WHERE subject = :s"), {"s": subject})
        assert seen.scalar() == 0


def test_the_sweep_takes_what_is_a_day_old_and_nothing_younger(database: Database, subject: str) -> None:
    young = subject + ":young"
    attempts.failed(database, subject)
    attempts.failed(database, young)
    later(database, subject, 86_500)
    database.at_once(attempts.SWEEP, {})
    for name, left in ((subject, 0), (young, 1)):
        with database.transaction(subject=name) as session:
            count = session.execute(text("SELECT count(*) FROM auth_attempts WHERE subject = :s"), {"s": name})
            assert count.scalar() == left
