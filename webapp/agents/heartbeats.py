"""Heartbeats of sockets: kept in memory, and written every few seconds, one statement a tenant.

A process that dies takes the last few seconds with it, which the agents' next beats make good.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

import orjson

from webapp.db import Database

# Written as one statement, and statements that go to the server together.
AGENTS_A_STATEMENT, TENANTS_A_TRIP = 500, 50

# `age` in seconds since the beat, by this process's steady clock: no wall clock but the database's decides.
_WRITE = """
UPDATE agents a SET
    last_seen_at = greatest(a.last_seen_at, clock_timestamp() - make_interval(secs => b.age)),
    reported_status = coalesce(b.status, a.reported_status),
    metadata = coalesce(b.metadata, a.metadata)
FROM unnest(%(ids{n})s::uuid[], %(ages{n})s::float8[], %(statuses{n})s::text[], %(metadata{n})s::jsonb[])
    AS b(id, age, status, metadata)
WHERE a.id = b.id AND a.status = 'active'
"""


@dataclass(frozen=True)
class Beat:
    """When, by `time.monotonic`, and what the agent said of itself."""

    at: float
    status: str | None = None
    metadata: dict[str, Any] | None = None


class Heartbeats:
    """Those of this process that are not written yet: at most one for each agent."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database, self._clock = database, clock
        self._waiting: dict[UUID, dict[UUID, Beat]] = defaultdict(dict)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return sum(len(beats) for beats in self._waiting.values())

    def note(
        self, tenant: UUID, agent: UUID, status: str | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        """The agent is there. What it says of itself replaces what it said before; silence keeps it."""
        with self._lock:
            beats = self._waiting[tenant]
            before = beats.get(agent)
            if before is not None:
                status, metadata = status or before.status, before.metadata if metadata is None else metadata
            beats[agent] = Beat(self._clock(), status, metadata)

    def flush(self) -> int:
        """Write what is waiting; how many. What could not be written waits on. Raises what Database.at_once raises."""
        with self._lock:
            taken, self._waiting = self._waiting, defaultdict(dict)
        written = 0
        chunks = list(_chunks(taken))
        while chunks:
            trip, chunks = chunks[:TENANTS_A_TRIP], chunks[TENANTS_A_TRIP:]
            try:
                self._write(trip)
            except Exception:
                self._put_back([*trip, *chunks])
                raise
            written += sum(len(beats) for _, beats in trip)
        return written

    def _write(self, trip: list[tuple[UUID, dict[UUID, Beat]]]) -> None:
        now = self._clock()
        self._database.for_tenants(_WRITE, [(tenant, _values(now, beats)) for tenant, beats in trip])

    def _put_back(self, chunks: list[tuple[UUID, dict[UUID, Beat]]]) -> None:
        with self._lock:
            for tenant, beats in chunks:
                self._waiting[tenant] = beats | self._waiting[tenant]


def _values(now: float, beats: Mapping[UUID, Beat]) -> dict[str, Any]:
    metadata = [None if beat.metadata is None else orjson.dumps(beat.metadata).decode() for beat in beats.values()]
    return {
        "ids": [str(agent) for agent in beats],
        "ages": [now - beat.at for beat in beats.values()],
        "statuses": [beat.status for beat in beats.values()],
        "metadata": metadata,
    }


def _chunks(waiting: dict[UUID, dict[UUID, Beat]]) -> Iterator[tuple[UUID, dict[UUID, Beat]]]:
    for tenant, beats in waiting.items():
        # In one order everywhere: two processes that write the same rows wait for each other, and do not lock up.
        left = iter(sorted(beats.items()))
        while chunk := dict(islice(left, AGENTS_A_STATEMENT)):
            yield tenant, chunk
