"""Uses of API keys: counted in this process's memory, and written every few seconds, one statement a tenant.

A request that a key is good for is one use, whether it was then allowed or not. Requests of one key so wait for no row
and no further round trip. What is lost is the last few seconds' count of a process that is killed; and a batch is
counted twice where the connection breaks between its commit and the word of it.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from webapp import logs
from webapp.caller import Caller
from webapp.db import Database

log = logging.getLogger("moorage.auth")

FLUSH_SECONDS = 3.0
# What a process that ends waits for the database; the stop as a whole has 30 s.
LAST_FLUSH_SECONDS = 3.0
# Written as one statement, and statements that go to the server together.
KEYS_A_STATEMENT, STATEMENTS_A_TRIP = 500, 50
# A key on two machines would else be an event at every change from the one to the other.
KNOWN_SECONDS = 3600.0

# `age` in seconds since the use, by this process's steady clock: no wall clock but the database's decides.
# The rows are locked in one order, and `before` is what they say once they are: another process writes them too.
_WRITE = """
WITH used AS MATERIALIZED (
    SELECT * FROM unnest(%(ids{n})s::uuid[], %(counts{n})s::bigint[], %(ages{n})s::float8[], %(addresses{n})s::text[])
        AS u(id, uses, age, address)
),
before AS MATERIALIZED (
    SELECT k.id, k.last_address FROM auth_keys k WHERE k.id IN (SELECT u.id FROM used u) ORDER BY k.id FOR UPDATE
),
written AS (
    UPDATE auth_keys k SET
        uses = k.uses + u.uses,
        last_used_at = greatest(k.last_used_at, clock_timestamp() - make_interval(secs => u.age)),
        last_address = CASE WHEN k.last_used_at > clock_timestamp() - make_interval(secs => u.age)
            THEN k.last_address ELSE u.address END
    FROM before b JOIN used u ON u.id = b.id WHERE k.id = b.id
)
INSERT INTO audit_events (tenant_id, event, result, actor, actor_kind, subject, address, request_id)
SELECT %(tenant{n})s::uuid, 'key_used', 'allowed', b.id::text, 'key', b.id::text, f.address, f.request_id
FROM unnest(%(seen_ids{n})s::uuid[], %(seen_addresses{n})s::text[], %(seen_requests{n})s::text[])
    AS f(id, address, request_id) JOIN before b ON b.id = f.id
WHERE f.address IS DISTINCT FROM b.last_address
"""


@dataclass
class Uses:
    """One key's, not written yet. `addresses` in the order of their last use, each with the request that came first."""

    count: int = 0
    at: float = 0.0
    addresses: dict[str, str | None] = field(default_factory=dict)

    def add(self, at: float, address: str, request_id: str | None) -> None:
        self.count, self.at = self.count + 1, at
        self.addresses[address] = self.addresses.pop(address, request_id)

    def follow(self, earlier: Uses) -> None:
        """Take in what came before."""
        self.count += earlier.count
        self.at = max(self.at, earlier.at)
        later, self.addresses = self.addresses, dict(earlier.addresses)
        for address, request_id in later.items():
            self.addresses[address] = self.addresses.pop(address, request_id)


Key = tuple[UUID, UUID]  # the tenant, and the key
Chunk = tuple[UUID, dict[UUID, Uses]]


class KeyUses:
    """Those of this process. Its thread begins with the first use: a process must have forked by then."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database, self._clock = database, clock
        self._waiting: dict[Key, Uses] = {}
        self._known: dict[tuple[UUID, str], float] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def saw(self, caller: Caller) -> None:
        """A caller was let in; where it is a key, that is a use."""
        if caller.kind == "key" and caller.id is not None:
            self.note(caller.tenant, caller.id, caller.address)

    def note(self, tenant: UUID, key: UUID, address: str) -> None:
        """The key was used once, from there, just now."""
        with self._lock:
            uses = self._waiting.setdefault((tenant, key), Uses())
            uses.add(self._clock(), address, logs.request_id.get())
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="key-uses", daemon=True)
                self._thread.start()
                atexit.register(self.stop)

    def flush(self) -> None:
        """Write what is waiting. What could not be written waits on. Raises what Database.for_tenants raises."""
        with self._writing:
            with self._lock:
                taken, self._waiting = self._waiting, {}
            chunks = list(_chunks(taken))
            while chunks:
                trip = chunks[:STATEMENTS_A_TRIP]
                try:
                    self._write(trip)
                except Exception:
                    self._put_back(chunks)
                    raise
                chunks = chunks[STATEMENTS_A_TRIP:]

    def stop(self) -> None:
        """Write the last ones, and end; not later than in LAST_FLUSH_SECONDS, whatever the database does."""
        atexit.unregister(self.stop)
        self._ending.set()
        if self._thread is None:
            return
        self._thread.join(LAST_FLUSH_SECONDS)
        if lost := sum(uses.count for uses in self._waiting.values()):
            log.warning("uses of API keys could not be written: lost", extra={"uses": lost})

    def _keep(self) -> None:
        ending = False
        while not ending:
            ending = self._ending.wait(FLUSH_SECONDS)
            try:
                self.flush()
            except SQLAlchemyError as error:
                log.warning("uses of API keys could not be written: kept", extra={"reason": str(error).strip()})
            except Exception:  # a fault of ours must not end the counting
                log.exception("uses of API keys could not be written: kept")

    def _write(self, trip: list[Chunk]) -> None:
        now = self._clock()
        self._known = {seen: at for seen, at in self._known.items() if at > now - KNOWN_SECONDS}
        self._database.for_tenants(_WRITE, [(tenant, self._values(now, tenant, keys)) for tenant, keys in trip])
        self._known |= {(key, address): uses.at for _, keys in trip for key, uses in keys.items()
                        for address in uses.addresses}  # fmt: skip

    def _values(self, now: float, tenant: UUID, keys: dict[UUID, Uses]) -> dict[str, Any]:
        seen = [
            (str(key), address, request_id)
            for key, uses in keys.items()
            for address, request_id in uses.addresses.items()
            if (key, address) not in self._known
        ]
        return {
            "tenant": str(tenant),
            "ids": [str(key) for key in keys],
            "counts": [uses.count for uses in keys.values()],
            "ages": [now - uses.at for uses in keys.values()],
            "addresses": [next(reversed(uses.addresses)) for uses in keys.values()],
            "seen_ids": [key for key, _, _ in seen],
            "seen_addresses": [address for _, address, _ in seen],
            "seen_requests": [request_id for _, _, request_id in seen],
        }

    def _put_back(self, chunks: list[Chunk]) -> None:
        with self._lock:
            for tenant, keys in chunks:
                for key, uses in keys.items():
                    self._waiting.setdefault((tenant, key), Uses()).follow(uses)


def _chunks(waiting: dict[Key, Uses]) -> Iterator[Chunk]:
    # In one order everywhere: two processes that write the same rows wait for each other, and do not lock up.
    chunk: dict[UUID, Uses] = {}
    of: UUID | None = None
    for (tenant, key), uses in sorted(waiting.items(), key=lambda item: item[0]):
        if of is not None and (tenant != of or len(chunk) == KEYS_A_STATEMENT):
            yield of, chunk
            chunk = {}
        of = tenant
        chunk[key] = uses
    if of is not None:
        yield of, chunk
