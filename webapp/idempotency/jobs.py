"""The worker's round: answers are kept for 24 h and no longer."""

from __future__ import annotations

from webapp.idempotency import service
from webapp.jobs.app import queue
from webapp.jobs.rounds import database, every_tenant


@queue.periodic(cron="23 * * * *")
@queue.task(name="idempotency.forget", queueing_lock="idempotency.forget")
def forget(timestamp: int) -> None:
    """Delete what is older than it is kept for."""
    for tenant in (*every_tenant(), service.NOBODY):
        with database().transaction(tenant) as session:
            service.forget(session)
