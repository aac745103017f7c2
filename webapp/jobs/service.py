"""Work to be done by the worker, deferred in the transaction that makes it necessary: both come true, or neither."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp import logs

R = TypeVar("R")

# What procrastinate's own client runs (queries.sql, defer_jobs), for one job.
_DEFER = text("""
SELECT procrastinate_defer_jobs_v1(ARRAY[
    ROW('default', :task, 0, NULL, NULL, CAST(:args AS jsonb), NULL)::procrastinate_job_to_defer_v1
])
""")


def defer(session: Session, task: str, **args: Any) -> None:
    """Have the worker run a task (one that is `on_behalf`), once the session's transaction has committed.

    `args` are kept in plain text, the id of the request with them."""
    asked = logs.request_id.get()
    told = args if asked is None else {**args, "request_id": asked}
    session.execute(_DEFER, {"task": task, "args": orjson.dumps(told).decode()})


def on_behalf(task: Callable[..., R]) -> Callable[..., R]:
    """A task whose log lines and statements carry the id of the request that deferred it."""

    @wraps(task)
    def run(*args: Any, request_id: str | None = None, **kwargs: Any) -> R:
        token = logs.request_id.set(request_id)
        try:
            return task(*args, **kwargs)
        finally:
            logs.request_id.reset(token)

    return run
