"""How far the carrying over of each collection has come."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Text, func
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
