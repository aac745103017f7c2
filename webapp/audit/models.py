"""What was done by whom. Rows are added, and sealed once; nothing else ever happens to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Index, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Base

ONCE = "event = 'download_reported'"


class AuditEvent(Base):
    """One thing that happened. `seq` and `digest` are its place in the tenant's chain, once it is sealed."""

    __tablename__ = "audit_events"
    __table_args__ = (
        CheckConstraint("result IN ('allowed', 'denied', 'error')", name="result"),
        Index("ix_audit_events_tenant_id", "tenant_id", "id"),
        Index("ix_audit_events_unsealed", "tenant_id", "id", postgresql_where=text("seq IS NULL")),
        Index("uq_audit_events_seq", "tenant_id", "seq", unique=True),
        # What there is one of for each subject.
        Index("uq_audit_events_once", "tenant_id", "subject", unique=True, postgresql_where=text(ONCE)),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[UUID]
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    event: Mapped[str] = mapped_column(Text)
    result: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    actor_kind: Mapped[str] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    seq: Mapped[int | None] = mapped_column(BigInteger)
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)


class AuditHead(Base):
    """The end of a tenant's chain."""

    __tablename__ = "audit_heads"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
