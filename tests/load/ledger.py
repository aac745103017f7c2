"""Compares the POSTs that were sent with the rows that they left."""

from __future__ import annotations

import json

from tests.lab.hosts import Host
from tests.load.report import Report

TABLE = "practice_posts"
# No unique key: a POST that runs twice must leave two rows.
_PREPARE = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    id text NOT NULL, slot text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
GRANT INSERT ON {TABLE} TO moorage_app;
"""
_STORED = """
SELECT coalesce(json_agg(json_build_array(number, times)), '[]') FROM (
    SELECT number, count({table}.id) AS times
    FROM generate_series(0, {posts} - 1) AS number LEFT JOIN {table} ON {table}.id = '{run}-' || number
    GROUP BY number HAVING count({table}.id) <> 1) AS odd
"""


class Ledger:
    """The table that the practice room writes to, on this host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def prepare(self) -> None:
        """Make the table, where it is missing; the application's role may only insert."""
        self.sql(_PREPARE)

    def settle(self, report: Report) -> Report:
        """Fill in, for each window, how many POSTs ran twice, and how many were answered and are not stored.

        A POST without an answer is none of the latter, whether it ran or not: it counts as failed already.
        """
        posts = max((window.posts[1] for window in report.windows), default=0)
        rows = json.loads(self.sql(_STORED.format(table=TABLE, posts=posts, run=report.run)))
        twice = {number for number, times in rows if times > 1}
        lost = {number for number, times in rows if times == 0} - set(report.unanswered)
        for window in report.windows:
            within = range(*window.posts)
            window.twice = sum(number in within for number in twice)
            window.lost = sum(number in within for number in lost)
        return report

    def sql(self, text: str, timeout: float = 300) -> str:
        """What psql prints for these statements, as the superuser. Raises CommandError."""
        psql = ["psql", "-U", "postgres", "-d", "moorage", "-v", "ON_ERROR_STOP=1", "-qtAX"]
        return self._host.exec("docker", "exec", "-i", "moorage-postgres", *psql, given=text, timeout=timeout)
