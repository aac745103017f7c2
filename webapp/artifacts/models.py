"""Tables of artifacts: releases, whom they are assigned to, and whose an object in the bucket is."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Base

STATUSES = ("draft", "active", "disabled", "archived")


class ArtifactObject(Base):
    """Whose an object's key is. The bucket is everybody's; a key belongs to the tenant that first released it."""

    __tablename__ = "artifact_objects"

    object_key: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[UUID]


class Release(Base):
    """A version of a module for a platform, as an object of known size and digest."""

    __tablename__ = "artifact_releases"
    __table_args__ = (
        CheckConstraint(f"status IN ({', '.join(repr(status) for status in STATUSES)})", name="status"),
        CheckConstraint("size_bytes > 0", name="size"),
        UniqueConstraint("tenant_id", "id", name="uq_artifact_releases_tenant_id"),
        Index("ix_artifact_releases_scope", "tenant_id", "module", "platform", "channel"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[UUID]
    module: Mapped[str] = mapped_column(Text)
    platform: Mapped[str] = mapped_column(Text)
    channel: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text)
    object_key: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Assignment(Base):
    """Which release a user gets of a module; without a user, what everybody gets who has none of their own."""

    __tablename__ = "artifact_assignments"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "release_id"], ["artifact_releases.tenant_id", "artifact_releases.id"]),
        Index(
            "uq_artifact_assignments_scope",
            "tenant_id",
            "module",
            "platform",
            "channel",
            "user_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_artifact_assignments_release_id", "release_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    tenant_id: Mapped[UUID]
    module: Mapped[str] = mapped_column(Text)
    platform: Mapped[str] = mapped_column(Text)
    channel: Mapped[str] = mapped_column(Text)
    user_id: Mapped[str | None] = mapped_column(Text)
    release_id: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

    @property
    def is_default(self) -> bool:
        return self.user_id is None
