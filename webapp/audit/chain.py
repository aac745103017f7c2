"""The chain: each event of a tenant is sealed with a digest over itself and the digest before it.

Rows are written by requests without waiting for one another; the worker seals them in batches. An event that is edited,
deleted or moved afterwards no longer fits (a linear hash chain, as in Haber and Stornetta's time-stamping, 1991).
Whoever can write to the database as its owner can make a whole new chain: what they cannot is make it end in a digest
that somebody else has noted, which is why the worker's log has each head.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import RowMapping, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.audit.models import AuditEvent, AuditHead

START = bytes(32)
BATCH, PAGE = 5_000, 1_000
SEALED = (
    "id", "tenant_id", "at", "event", "result", "reason", "actor", "actor_kind", "subject", "address", "request_id",
    "details",
)  # fmt: skip
_SEAL = text(
    "UPDATE audit_events e SET seq = v.seq, digest = v.digest"
    " FROM unnest(CAST(:ids AS bigint[]), CAST(:seqs AS bigint[]), CAST(:digests AS bytea[])) AS v (id, seq, digest)"
    " WHERE e.id = v.id"
)


@dataclass(frozen=True)
class Head:
    """The last event that is sealed, and its digest; seq 0 where none is."""

    seq: int
    digest: bytes


@dataclass(frozen=True)
class Verdict:
    """`sealed` events were looked at; `wrong` says what the first one is that does not fit, and why."""

    tenant: UUID
    sealed: int
    wrong: str | None = None


def link(before: bytes, seq: int, event: Any) -> bytes:
    """The digest of an event (a mapping of SEALED) in its place: SHA-256 over the one before and canonical JSON."""
    said = {name: event[name] for name in SEALED} | {"seq": seq}
    # In UTC: a restored database may live on a server with another time zone.
    said["at"] = event["at"].astimezone(UTC)
    return hashlib.sha256(before + orjson.dumps(said, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)).digest()


def seal(session: Session, tenant: UUID) -> Head | None:
    """Seal the tenant's next events, at most BATCH; the new head, None where there was nothing to seal.

    Two workers at once take turns at the head's row.
    """
    start = insert(AuditHead).values(tenant_id=tenant, seq=0, digest=START).on_conflict_do_nothing()
    session.execute(start)
    head = session.execute(select(AuditHead).where(AuditHead.tenant_id == tenant).with_for_update()).scalar_one()
    columns = [getattr(AuditEvent, name) for name in SEALED]
    unsealed = select(*columns).where(AuditEvent.tenant_id == tenant, AuditEvent.seq.is_(None))
    events = session.execute(unsealed.order_by(AuditEvent.id).limit(BATCH)).mappings().all()
    if not events:
        return None
    ids, seqs, digests = [], [], []
    seq, digest = head.seq, head.digest
    for event in events:
        seq, digest = seq + 1, link(digest, seq + 1, event)
        ids.append(event["id"])
        seqs.append(seq)
        digests.append(digest)
    session.execute(_SEAL, {"ids": ids, "seqs": seqs, "digests": digests})
    mine = AuditHead.tenant_id == tenant
    session.execute(update(AuditHead).where(mine).values(seq=seq, digest=digest, sealed_at=func.now()))
    return Head(seq, digest)


def verify(session: Session, tenant: UUID) -> Verdict:
    """Compute the tenant's chain anew, from its first event, in constant memory."""
    head = session.execute(select(AuditHead).where(AuditHead.tenant_id == tenant)).scalar_one_or_none()
    count, digest = 0, START
    for count, row in enumerate(_sealed(session, tenant), 1):
        if row["seq"] != count:
            return Verdict(tenant, count, f"event {count} is missing: the next there is has number {row['seq']}")
        digest = link(digest, count, row)
        if digest != row["digest"]:
            return Verdict(tenant, count, f"event {count} (id {row['id']}) is not what was sealed")
    if head is None:
        return Verdict(tenant, count, "events are sealed, but the chain has no head" if count else None)
    if head.seq != count:
        return Verdict(tenant, count, f"the chain ends at event {count}, its head says {head.seq}: events are missing")
    if head.digest != digest:
        return Verdict(tenant, count, f"event {count} is the last, and is not the one that the head was made of")
    return Verdict(tenant, count)


def _sealed(session: Session, tenant: UUID) -> Iterator[RowMapping]:
    """Every sealed event in its order, read a page at a time."""
    columns = [getattr(AuditEvent, name) for name in (*SEALED, "seq", "digest")]
    after = 0
    while True:
        page = select(*columns).where(AuditEvent.tenant_id == tenant, AuditEvent.seq > after)
        rows = session.execute(page.order_by(AuditEvent.seq).limit(PAGE)).mappings().all()
        if not rows:
            return
        yield from rows
        after = rows[-1]["seq"]
