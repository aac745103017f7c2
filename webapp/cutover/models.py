"""How far the carrying over of each collection has come."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Identity, Index, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Base

READING, COMPLETE = "reading", "complete"


class Checkpoint(Base):
    """Of one collection of a tenant, out of one source.

    `after`: while reading, the id up to which everything has been carried over. `mark`: the source's "now" when that
    reading began, None where it cannot say what changed since.
    """

    __tablename__ = "cutover_checkpoints"
    __table_args__ = (CheckConstraint("phase IN ('reading', 'complete')", name="phase"),)

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(Text, primary_key=True)
    collection: Mapped[str] = mapped_column(Text, primary_key=True)
    phase: Mapped[str] = mapped_column(Text)
    after: Mapped[str | None] = mapped_column(Text(collation="C"))
    mark: Mapped[str | None] = mapped_column(Text)
    carried: Mapped[int] = mapped_column(BigInteger, server_default="0")
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class StoredRun(Base):
    """A cutover: runs.Run is what is read of it."""

    __tablename__ = "cutover_runs"
    # Of two that begin at once, one is told that there is another.
    __table_args__ = (
        Index("uq_cutover_runs_open", text("(true)"), unique=True, postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    came_from: Mapped[str | None] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text)
    rehearsal_tenant: Mapped[UUID]
    begun_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    state_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    window_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    frozen_seconds: Mapped[float | None]
    verdict: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class Event(Base):
    """A line of what has happened in one."""

    __tablename__ = "cutover_events"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("cutover_runs.id"))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    state: Mapped[str] = mapped_column(Text)
    words: Mapped[str] = mapped_column(Text)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
