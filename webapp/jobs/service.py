"""Work to be done by the worker, deferred in the transaction that makes it necessary: both come true, or neither."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

# What procrastinate's own client runs (queries.sql, defer_jobs), for one job.
_DEFER = text("""
SELECT procrastinate_defer_jobs_v1(ARRAY[
    ROW('default', :task, 0, NULL, NULL, CAST(:args AS jsonb), NULL)::procrastinate_job_to_defer_v1
])
""")


def defer(session: Session, task: str, **args: Any) -> None:
    """Have the worker run a task, once the session's transaction has committed. `args` are kept in plain text."""
    session.execute(_DEFER, {"task": task, "args": orjson.dumps(args).decode()})
