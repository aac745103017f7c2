"""Guessing protection: attempts counted in PostgreSQL, so that a bound holds over all processes and restarts.

A subject says who guesses at what (`login:192.0.2.7`). Each call is a transaction of its own: a refusal that rolls the
request's own work back must not forget the attempt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from webapp.db import Database
from webapp.limits import RateLimited, Spent

# Below, people mistype; from here on each failure doubles the wait, from 1 s to a quarter of an hour.
FREE_FAILURES = 5
LONGEST_LOCK_SECONDS = 900

_COUNT = """
INSERT INTO auth_attempts AS a (subject, window_count) VALUES (%(subject)s, 1)
ON CONFLICT (subject) DO UPDATE SET
    window_started_at = CASE WHEN a.window_started_at <= now() - interval '1 minute' THEN now()
        ELSE a.window_started_at END,
    window_count = CASE WHEN a.window_started_at <= now() - interval '1 minute' THEN 1 ELSE a.window_count + 1 END
RETURNING window_count, ceil(extract(epoch FROM window_started_at + interval '1 minute' - now()))::int AS reset,
    ceil(extract(epoch FROM locked_until - now()))::int AS locked
"""
# What was the matter a day ago is forgotten.
_FAILED = f"""
INSERT INTO auth_attempts AS a (subject, failures) VALUES (%(subject)s, 1)
ON CONFLICT (subject) DO UPDATE SET failures = CASE
    WHEN coalesce(a.locked_until, a.window_started_at) < now() - interval '1 day' THEN 1 ELSE a.failures + 1 END,
    locked_until = CASE WHEN a.failures + 1 < {FREE_FAILURES} THEN NULL
        ELSE now() + make_interval(secs => least({LONGEST_LOCK_SECONDS},
            power(2, least(a.failures + 1 - {FREE_FAILURES}, 20)))) END
"""  # noqa: S608 - two constants of ours
_FIRST = "INSERT INTO auth_attempts (subject) VALUES (%(subject)s) ON CONFLICT DO NOTHING RETURNING true"
_CLEARED = "UPDATE auth_attempts SET failures = 0, locked_until = NULL WHERE subject = %(subject)s AND failures > 0"
SWEEP = "DELETE FROM auth_attempts WHERE window_started_at < now() - interval '1 day' AND " \
    "coalesce(locked_until < now(), true)"  # fmt: skip


def check(database: Database, subject: str, *, limit: int) -> None:
    """Count one attempt. `limit`: attempts a minute; 0 for any number, and then nothing is counted.

    Raises RateLimited where the minute's attempts are spent, or while failures have the subject locked out.
    """
    if not limit:
        return
    [row] = database.at_once(_COUNT, {"subject": subject}, subject=subject)
    if row.locked is not None and row.locked > 0:
        raise RateLimited(
            Spent(limit, 0, row.locked), "Too many failed attempts. Retry-After says when to come back, in seconds."
        )
    if row.window_count > limit:
        raise RateLimited(Spent(limit, 0, row.reset))


@contextmanager
def guarding(
    database: Database, subjects: Sequence[str], wrong: tuple[type[Exception], ...], *, limit: int
) -> Iterator[None]:
    """Around what may be guessed: an attempt of each subject, which failed if it ends with one of `wrong`.

    Raises RateLimited before anything is tried, as `check` does.
    """
    for subject in subjects:
        check(database, subject, limit=limit)
    try:
        yield
    except wrong:
        for subject in subjects if limit else ():
            failed(database, subject)
        raise
    for subject in subjects if limit else ():
        cleared(database, subject)


def failed(database: Database, subject: str) -> None:
    """An attempt was wrong: from the fifth on, the subject is locked out, each time for twice as long."""
    database.at_once(_FAILED, {"subject": subject}, subject=subject)


def cleared(database: Database, subject: str) -> None:
    """An attempt was right: failures so far are forgotten, the minute's count is not."""
    database.at_once(_CLEARED, {"subject": subject}, subject=subject)


def first(database: Database, subject: str) -> bool:
    """Is this the first time? For what works once and is over within a day: later the subject is swept away."""
    return bool(database.at_once(_FIRST, {"subject": subject}, subject=subject))
