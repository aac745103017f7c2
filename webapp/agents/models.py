"""Agents, and the codes that they are paired with."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, Text, case, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, column_property, mapped_column

from webapp.db import Base

# Agents beat every 30 s: three beats missed mean that nobody is there. By the database's clock alone.
ONLINE = text("interval '90 seconds'")


class Agent(Base):
    """A program on a customer's machine. `pending` until its code is used; its row is the pairing's until then.

    `digest` is the SHA-256 of its token. `beat_at` is its last heartbeat, `last_seen_at` the last sign of life of any
    kind: an open socket is one for as long as it is open.
    """

    __tablename__ = "agents"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'active', 'revoked')", name="status"),
        CheckConstraint("status <> 'active' OR digest IS NOT NULL", name="token"),
        Index("ix_agents_tenant_id", "tenant_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    owner_user_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="pending")
    machine_name: Mapped[str | None] = mapped_column(Text)
    version: Mapped[str | None] = mapped_column(Text)
    platform: Mapped[str | None] = mapped_column(Text)
    capabilities: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    public_key: Mapped[str | None] = mapped_column(Text)
    key_id: Mapped[str | None] = mapped_column(Text)
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    token_expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    reported_status: Mapped[str | None] = mapped_column(Text)
    reported: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSONB(none_as_null=True))
    paired_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_seen_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    beat_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoke_reason: Mapped[str | None] = mapped_column(Text)

    online: Mapped[bool] = column_property(
        (status == "active") & func.coalesce(last_seen_at > func.now() - ONLINE, False)
    )
    # What clients see: the status, or `offline`.
    standing: Mapped[str] = column_property(
        case(
            ((status == "active") & func.coalesce(last_seen_at <= func.now() - ONLINE, True), "offline"),
            else_=status,
        )
    )


class FormerToken(Base):
    """A token that a next one has replaced, by its digest: for a while it works too, as the answer may have been
    lost."""

    __tablename__ = "agent_former_tokens"
    __table_args__ = (Index("ix_agent_former_tokens_agent_id", "agent_id"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    tenant_id: Mapped[UUID]
    agent_id: Mapped[UUID] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"))
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class AgentPairing(Base):
    """A code that works once, known by its digest only."""

    __tablename__ = "agent_pairings"
    __table_args__ = (Index("ix_agent_pairings_agent_id", "agent_id"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    tenant_id: Mapped[UUID]
    agent_id: Mapped[UUID] = mapped_column(ForeignKey("agents.id", ondelete="CASCADE"))
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
