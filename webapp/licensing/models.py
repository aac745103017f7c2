"""Tables of licensing: machines, licences, entitlements, leases."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, Index, LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Base

STATUSES_OF_VM = ("active", "paused", "revoked")
TYPES_OF_LICENSE = ("perpetual", "subscription")
STATUSES_OF_LICENSE = ("active", "suspended", "revoked")


def _one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=column)


class Vm(Base):
    """A customer's machine, and whose it is."""

    __tablename__ = "licensing_vms"
    __table_args__ = (_one_of("status", STATUSES_OF_VM), Index("ix_licensing_vms_user", "tenant_id", "user_id"))

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    vm_uuid: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[str] = mapped_column(Text)
    vm_name: Mapped[str | None] = mapped_column(Text)
    project_id: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    # Named `facts` here, because SQLAlchemy keeps `metadata` for itself.
    facts: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSONB(none_as_null=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class License(Base):
    """A licence of the whole tenant (no `user_id`) or of one user."""

    __tablename__ = "licensing_licenses"
    __table_args__ = (
        _one_of("type", TYPES_OF_LICENSE),
        _one_of("status", STATUSES_OF_LICENSE),
        CheckConstraint("(type = 'subscription') = (ends_at IS NOT NULL)", name="end"),
        Index("ix_licensing_licenses_user", "tenant_id", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    user_id: Mapped[str | None] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="active")
    ends_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Entitlement(Base):
    """A user may use a module; `*` stands for all of them."""

    __tablename__ = "licensing_entitlements"
    __table_args__ = (Index("uq_licensing_entitlements", "tenant_id", "user_id", "module", unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    user_id: Mapped[str] = mapped_column(Text)
    module: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Lease(Base):
    """A runner's right to a module for some minutes, prolonged by heartbeats. `token_digest`: of its first token."""

    __tablename__ = "licensing_leases"
    __table_args__ = (
        _one_of("status", ("active", "revoked")),
        Index("ix_licensing_leases_tenant_id", "tenant_id", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    user_id: Mapped[str] = mapped_column(Text)
    vm_uuid: Mapped[str] = mapped_column(Text)
    agent_id: Mapped[str] = mapped_column(Text)
    runner_id: Mapped[str] = mapped_column(Text)
    module: Mapped[str] = mapped_column(Text)
    version: Mapped[str | None] = mapped_column(Text)
    license_id: Mapped[UUID]
    status: Mapped[str] = mapped_column(Text, server_default="active")
    token_digest: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    last_heartbeat_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    reason: Mapped[str | None] = mapped_column(Text)
