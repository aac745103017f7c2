"""The worker's round: seal what has happened, at most 10 s after it did."""

from __future__ import annotations

import logging

from webapp.audit import chain
from webapp.jobs.app import queue
from webapp.jobs.rounds import database, every_tenant

log = logging.getLogger("moorage.audit")


@queue.periodic(cron="* * * * * */5")
@queue.task(name="audit.seal", queueing_lock="audit.seal")
def seal(timestamp: int) -> None:
    """Each tenant's unsealed events, all of them, in batches of a transaction each."""
    for tenant in every_tenant():
        while True:
            with database().transaction(tenant) as session:
                head = chain.seal(session, tenant)
            if head is None:
                break
            log.info(
                "audit events sealed", extra={"tenant": str(tenant), "seq": head.seq, "digest": head.digest.hex()}
            )
