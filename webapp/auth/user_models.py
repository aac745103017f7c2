"""Users and what proves that somebody is one. Their rows belong to no tenant: claims that name them open them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, DateTime, ForeignKey, Index, Integer, LargeBinary, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from webapp.db import Base

PURPOSES = ("verify", "reset")


def _moment() -> Mapped[datetime]:
    return mapped_column(DateTime(timezone=True), server_default=func.now())


class AuthUser(Base):
    """A person with an e-mail address (kept in lower case). Without a password they sign in elsewhere (OAuth)."""

    __tablename__ = "auth_users"
    __table_args__ = (Index("uq_auth_users_email", "email", unique=True),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    name: Mapped[str | None] = mapped_column(Text)
    password_hash: Mapped[str | None] = mapped_column(Text)
    verified_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    totp_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_confirmed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    totp_last_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    created_at: Mapped[datetime] = _moment()
    updated_at: Mapped[datetime] = _moment()


class AuthRecoveryCode(Base):
    __tablename__ = "auth_recovery_codes"

    user_id: Mapped[str] = mapped_column(Text, ForeignKey("auth_users.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class AuthMailToken(Base):
    """What a mail's link carries: its digest."""

    __tablename__ = "auth_mail_tokens"
    __table_args__ = (
        CheckConstraint("purpose IN ('verify', 'reset')", name="purpose"),
        Index("ix_auth_mail_tokens_user_id", "user_id"),
    )

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    user_id: Mapped[str] = mapped_column(Text, ForeignKey("auth_users.id", ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class AuthIdentity(Base):
    """An account at an outside provider (`github:123`) that signs a user in."""

    __tablename__ = "auth_identities"
    __table_args__ = (Index("ix_auth_identities_user_id", "user_id"),)

    identity: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[str] = mapped_column(Text, ForeignKey("auth_users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = _moment()


class AuthAttempts(Base):
    """How often somebody has tried something that could be guessed: attempts.py."""

    __tablename__ = "auth_attempts"

    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    failures: Mapped[int] = mapped_column(Integer, server_default="0")
    window_started_at: Mapped[datetime] = _moment()
    window_count: Mapped[int] = mapped_column(Integer, server_default="0")
    locked_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class AuthRefreshToken(Base):
    """A family of them belongs to one session; each works once."""

    __tablename__ = "auth_refresh_tokens"
    __table_args__ = (Index("ix_auth_refresh_tokens_session_id", "session_id"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    tenant_id: Mapped[UUID]
    session_id: Mapped[UUID] = mapped_column(ForeignKey("auth_sessions.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = _moment()
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
