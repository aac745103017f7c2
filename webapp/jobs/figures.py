"""What `/metrics` says of the job queue: looked up when somebody asks, because the worker has no address."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from sqlalchemy.exc import SQLAlchemyError

from webapp import waiting
from webapp.db import Database

log = logging.getLogger("moorage.metrics")

# Those that went well are deleted (serving/worker.py).
STATES = ("todo", "doing", "failed")
# A scrape has 10 s; without the database all other numbers are still worth having.
SECONDS = 1.0
_COUNT = "SELECT status::text AS state, count(*) AS jobs FROM procrastinate_jobs GROUP BY status"


class QueueLength:
    """`moorage_job_queue_length`; nothing where the database does not answer."""

    NAME, WORDS = "moorage_job_queue_length", "Jobs that wait, run or have failed."

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[GaugeMetricFamily]:
        made = GaugeMetricFamily(self.NAME, self.WORDS, labels=["state"])
        try:
            with waiting.at_most(SECONDS):
                counted = {row.state: row.jobs for row in self._database.at_once(_COUNT, {})}
        except SQLAlchemyError as error:
            log.warning("the job queue could not be counted", extra={"reason": str(error).strip()})
            return
        for state in STATES:
            made.add_metric([state], counted.get(state, 0))
        yield made
