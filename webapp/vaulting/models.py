"""Secrets, which are ciphertext here and nothing else, what they are bound to, and a tenant's allow-list."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Base

AES, SEALED_BOX = "AES-256-GCM", "X25519-XSALSA20-POLY1305"
ALGORITHMS = (AES, SEALED_BOX)
# From the widest to the narrowest.
SCOPES = ("tenant", "agent", "bot", "vm")


class StoredSecret(Base):
    """A secret by its newest version. What opens it is in no table."""

    __tablename__ = "vaulting_secrets"
    __table_args__ = (Index("ix_vaulting_secrets_tenant_id", "tenant_id", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    label: Mapped[str] = mapped_column(Text)
    owner_user_id: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(server_default="1")
    alg: Mapped[str] = mapped_column(Text)
    key_id: Mapped[str] = mapped_column(Text)
    aad_meta: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    rotated_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Version(Base):
    """One ciphertext of a secret. `handed_to`: the agents that were given it, and so may acknowledge it."""

    __tablename__ = "vaulting_versions"
    __table_args__ = (CheckConstraint("alg IN ('AES-256-GCM', 'X25519-XSALSA20-POLY1305')", name="alg"),)

    secret_id: Mapped[UUID] = mapped_column(ForeignKey("vaulting_secrets.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    alg: Mapped[str] = mapped_column(Text)
    key_id: Mapped[str] = mapped_column(Text)
    nonce: Mapped[str] = mapped_column(Text)
    ciphertext: Mapped[str] = mapped_column(Text)
    aad_meta: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    handed_to: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), server_default=text("'{}'"))
    acknowledged_by: Mapped[UUID | None]
    acknowledged_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Binding(Base):
    """A secret is meant for a field wherever a scope is at work.

    `only_user_id`: it reaches this user's agents alone (a member's own binding); None: any agent of the tenant.
    """

    __tablename__ = "vaulting_bindings"
    __table_args__ = (
        CheckConstraint("scope_type IN ('bot', 'vm', 'agent', 'tenant')", name="scope_type"),
        Index("ix_vaulting_bindings_scope", "tenant_id", "scope_type", "scope_id"),
        Index("ix_vaulting_bindings_secret_id", "secret_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    scope_type: Mapped[str] = mapped_column(Text)
    scope_id: Mapped[str] = mapped_column(Text)
    field_name: Mapped[str] = mapped_column(Text)
    secret_id: Mapped[UUID] = mapped_column(ForeignKey("vaulting_secrets.id", ondelete="CASCADE"))
    only_user_id: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Allowance(Base):
    """A field path that may hold a plaintext secret in the records that this tenant migrates."""

    __tablename__ = "vaulting_allowances"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(Text, primary_key=True)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
