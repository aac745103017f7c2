"""Records as rows: one table for all collections, for a record is whatever its tenant makes of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    FetchedValue,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    Uuid,
    false,
    func,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Base

# By code point, as Python and RTDB sort, whatever the database's locale.
_PLAIN = Text(collation="C")


class StoredRecord(Base):
    """`body` has neither id nor the two times, which are milliseconds since the epoch. The columns after them are
    computed of the body, by migration 0011: they are searched, sorted and summed, and never written."""

    __tablename__ = "records"
    __table_args__ = (
        CheckConstraint("jsonb_typeof(body) = 'object'", name="body"),
        Index("ix_records_created_at", "tenant_id", "collection", "created_at"),
        Index("ix_records_status", "tenant_id", "collection", "status", postgresql_where=text("status IS NOT NULL")),
        Index("ix_records_happened_at", "tenant_id", "happened_at", postgresql_where=text("happened_at IS NOT NULL")),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    collection: Mapped[str] = mapped_column(_PLAIN, primary_key=True)
    id: Mapped[str] = mapped_column(_PLAIN, primary_key=True)
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[int | None] = mapped_column(BigInteger)
    updated_at: Mapped[int | None] = mapped_column(BigInteger)

    name: Mapped[str | None] = mapped_column(_PLAIN, server_default=FetchedValue())
    status: Mapped[str | None] = mapped_column(_PLAIN, server_default=FetchedValue())
    type: Mapped[str | None] = mapped_column(_PLAIN, server_default=FetchedValue())
    currency: Mapped[str | None] = mapped_column(_PLAIN, server_default=FetchedValue())
    amount: Mapped[Decimal | None] = mapped_column(Numeric, server_default=FetchedValue())
    happened_at: Mapped[int | None] = mapped_column(BigInteger, server_default=FetchedValue())


def _store(name: str) -> CheckConstraint:
    return CheckConstraint(f"{name} IN ('rtdb', 'supabase')", name=name)


# Without classes: a gate has one row, and the others are only added to.
_now = func.clock_timestamp()
record_gate = Table(
    "record_gate",
    Base.metadata,
    Column("id", Boolean, primary_key=True, server_default=true()),
    Column("leader", Text),
    Column("next_leader", Text),
    Column("frozen_until", DateTime(timezone=True)),
    Column("rehearsing", Uuid),
    Column("shadowing", Boolean, server_default=false(), nullable=False),
    Column("tracking", Boolean, server_default=false(), nullable=False),
    Column("retired", Boolean, server_default=false(), nullable=False),
    CheckConstraint("id", name="one"),
    _store("leader"),
    _store("next_leader"),
    CheckConstraint("next_leader IS NULL OR frozen_until IS NOT NULL", name="frozen"),
)
record_changes = Table(
    "record_changes",
    Base.metadata,
    Column("tenant_id", Uuid, primary_key=True),
    Column("collection", _PLAIN, primary_key=True),
    Column("id", _PLAIN, primary_key=True),
    Column("at", DateTime(timezone=True), server_default=_now, nullable=False),
)
record_shadow_reads = Table(
    "record_shadow_reads",
    Base.metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("at", DateTime(timezone=True), server_default=_now, nullable=False),
    Column("reads", Integer, nullable=False),
)
record_shadow_differences = Table(
    "record_shadow_differences",
    Base.metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("at", DateTime(timezone=True), server_default=_now, nullable=False),
    Column("verb", Text, nullable=False),
    Column("collection", Text, nullable=False),
    Column("record_id", Text),
    Column("reason", Text, nullable=False),
)
