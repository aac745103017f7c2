"""Commands, and the events that tell what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Base


class Command(Base):
    """Something that an agent is to do, once. `seq` is its place in the agent's queue; `handed_out`: how often."""

    __tablename__ = "commands"
    __table_args__ = (
        CheckConstraint(
            "status IN ('queued', 'dispatched', 'running', 'succeeded', 'failed', 'expired', 'cancelled')",
            name="status",
        ),
        Index("ix_commands_tenant_id", "tenant_id", "queued_at", "id"),
        Index("ix_commands_agent_id", "agent_id", "queued_at"),
        Index("ix_commands_queue", "agent_id", "seq", postgresql_where=text("status = 'queued'")),
        Index(
            "ix_commands_open",
            "tenant_id",
            "expires_at",
            postgresql_where=text("status IN ('queued', 'dispatched', 'running')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    agent_id: Mapped[UUID] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"))
    seq: Mapped[int] = mapped_column(BigInteger, Identity())
    command_type: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="queued")
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    result: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    error_message: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str | None] = mapped_column(Text)
    handed_out: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    queued_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    dispatched_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    completed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class CommandEvent(Base):
    """A command's new status, or a running one's progress. `xid`, the transaction that wrote it, orders the stream."""

    __tablename__ = "command_events"
    __table_args__ = (
        Index("ix_command_events_stream", "tenant_id", "xid", "id"),
        Index("ix_command_events_command_id", "command_id"),
        Index("ix_command_events_at", "tenant_id", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[UUID]
    xid: Mapped[int] = mapped_column(BigInteger, server_default=text("(pg_current_xact_id()::text)::bigint"))
    command_id: Mapped[UUID] = mapped_column(ForeignKey("commands.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(Text)
    progress: Mapped[int | None] = mapped_column(SmallInteger)
    message: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
