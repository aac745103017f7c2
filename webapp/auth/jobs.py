"""The worker's part of identity: mail, and what is to be forgotten."""

from __future__ import annotations

import logging

from procrastinate import RetryStrategy

from webapp.auth import accounts, mail, sweeping
from webapp.jobs import service as jobs
from webapp.jobs.app import queue
from webapp.jobs.rounds import database, every_tenant
from webapp.settings import Settings

log = logging.getLogger("moorage.auth")

# A mail server is away for minutes or hours: 9 attempts, the last one a day after the first.
RETRY = RetryStrategy(max_attempts=8, exponential_wait=4)


@queue.task(name=accounts.TASK, retry=RETRY)
@jobs.on_behalf
def write(user_id: str, kind: str) -> None:
    """Write to a user. Each attempt has a token of its own, and ends the one before."""
    settings = Settings.load()
    with database().transaction() as session:
        made = accounts.new_token(session, user_id, kind)
    if made is None or settings.smtp_host is None:
        log.warning("a mail was not sent: no such user, or no SMTP_HOST", extra={"kind": kind})
        return
    mail.send(settings, mail.compose(settings, kind, *made))
    log.info("mail sent", extra={"kind": kind, "user_id": user_id})


@queue.periodic(cron="41 * * * *")
@queue.task(name="auth.sweep", queueing_lock="auth.sweep")
def sweep(timestamp: int) -> None:
    """Forget what has had its time."""
    with database().transaction() as session:
        sweeping.of_nobody(session)
    for tenant in every_tenant():
        with database().transaction(tenant) as session:
            sweeping.of_tenant(session)
