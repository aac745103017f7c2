"""The worker's rounds over commands."""

from __future__ import annotations

from functools import cache

from webapp.commands import sweeps
from webapp.jobs.app import queue
from webapp.jobs.rounds import database, every_tenant
from webapp.settings import Settings


@cache
def ack_seconds() -> int:
    return Settings.load().command_ack_seconds


# The sixth field is seconds. What is overdue is so for 5 s at most before it is seen.
@queue.periodic(cron="* * * * * */5")
@queue.task(name="commands.sweep", queueing_lock="commands.sweep")
def sweep(timestamp: int) -> None:
    """Expire what is past its time; queue again, or give up, what was handed out and not acknowledged."""
    for tenant in every_tenant():
        sweeps.sweep(database(), tenant, ack_seconds=ack_seconds())


@queue.periodic(cron="41 * * * *")
@queue.task(name="commands.forget_events", queueing_lock="commands.forget_events")
def forget_events(timestamp: int) -> None:
    """Delete events that no reader comes back for."""
    for tenant in every_tenant():
        sweeps.forget_events(database(), tenant)
