"""Heartbeats of sockets, and their ends: kept in memory, and written every few seconds, one statement a tenant.

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

# `age` in seconds since the sign of life, by this process's steady clock: no wall clock but the database's decides.
# Where a socket has ended, what is left of it is the last heartbeat; but not where the agent was seen elsewhere since,
# within what clocks and statements may differ by.
_WRITE = """
UPDATE agents a SET
    last_seen_at = CASE
        WHEN NOT b.gone THEN greatest(a.last_seen_at, clock_timestamp() - make_interval(secs => b.age))
        WHEN a.last_seen_at <= clock_timestamp() - make_interval(secs => b.age - 1) THEN a.beat_at
        ELSE a.last_seen_at END,
    beat_at = CASE WHEN b.beaten THEN greatest(a.beat_at, clock_timestamp() - make_interval(secs => b.age))
        ELSE a.beat_at END,
    reported_status = coalesce(b.status, a.reported_status),
    metadata = coalesce(b.metadata, a.metadata)
FROM unnest(%(ids{n})s::uuid[], %(ages{n})s::float8[], %(beaten{n})s::bool[], %(gone{n})s::bool[],
            %(statuses{n})s::text[], %(metadata{n})s::jsonb[]) AS b(id, age, beaten, gone, status, metadata)
WHERE a.id = b.id AND a.status = 'active'
"""


@dataclass(frozen=True)
class Beat:
    """When, by `time.monotonic`, and what the agent said of itself.

    `beaten`: it did say something, else its socket was seen to be open; `gone`: and then it was closed.
    """

    at: float
    beaten: bool = True
    gone: bool = False
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
        """The agent has beaten. What it says of itself replaces what it said before; silence keeps it."""
        with self._lock:
            beats = self._waiting[tenant]
            before = beats.get(agent)
            if before is not None:
                status, metadata = status or before.status, before.metadata if metadata is None else metadata
            beats[agent] = Beat(self._clock(), status=status, metadata=metadata)

    def touch(self, tenant: UUID, agent: UUID) -> None:
        """Its socket is open. A beat that waits already says so."""
        with self._lock:
            before = self._waiting[tenant].get(agent)
            if before is None or not before.beaten:
                self._waiting[tenant][agent] = Beat(self._clock(), beaten=False)

    def gone(self, tenant: UUID, agent: UUID, touched: float) -> None:
        """Its socket is closed, and was last noted to be open at `touched`. A beat that waits counts for 90 s more."""
        with self._lock:
            before = self._waiting[tenant].get(agent)
            if before is None or not before.beaten:
                self._waiting[tenant][agent] = Beat(touched, beaten=False, gone=True)

    def back(self, tenant: UUID, agent: UUID) -> None:
        """It is there again: that it was gone and is not written yet is forgotten."""
        with self._lock:
            before = self._waiting[tenant].get(agent)
            if before is not None and before.gone:
                del self._waiting[tenant][agent]

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
                since = self._waiting[tenant].items()
                self._waiting[tenant] = beats | {one: beat for one, beat in since if beat.beaten or one not in beats}


def _values(now: float, beats: Mapping[UUID, Beat]) -> dict[str, Any]:
    metadata = [None if beat.metadata is None else orjson.dumps(beat.metadata).decode() for beat in beats.values()]
    return {
        "ids": [str(agent) for agent in beats],
        "ages": [now - beat.at for beat in beats.values()],
        "beaten": [beat.beaten for beat in beats.values()],
        "gone": [beat.gone for beat in beats.values()],
        "statuses": [beat.status for beat in beats.values()],
        "metadata": metadata,
    }


def _chunks(waiting: dict[UUID, dict[UUID, Beat]]) -> Iterator[tuple[UUID, dict[UUID, Beat]]]:
    for tenant, beats in waiting.items():
        # In one order everywhere: two processes that write the same rows wait for each other, and do not lock up.
        left = iter(sorted(beats.items()))
        while chunk := dict(islice(left, AGENTS_A_STATEMENT)):
            yield tenant, chunk
