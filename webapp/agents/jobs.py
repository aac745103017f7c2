"""The worker's round: agents whose code was never used do not stay."""

from __future__ import annotations

from webapp.agents import service
from webapp.jobs.app import queue
from webapp.jobs.rounds import database, every_tenant


@queue.periodic(cron="43 * * * *")
@queue.task(name="agents.forget_pending", queueing_lock="agents.forget_pending")
def forget_pending(timestamp: int) -> None:
    """Delete pending agents whose code ran out more than a day ago."""
    for tenant in every_tenant():
        with database().transaction(tenant) as session:
            service.forget_pending(session)
