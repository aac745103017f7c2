"""What identity forgets: attempts, mail tokens and sessions that have had their time."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.auth.attempts import SWEEP

# For whoever asks what a session was, some time after it ended.
_SESSIONS = text("DELETE FROM auth_sessions WHERE expires_at < now() - interval '30 days'")
_REFRESH_TOKENS = text("DELETE FROM auth_refresh_tokens WHERE expires_at < now()")
_MAIL_TOKENS = text("DELETE FROM auth_mail_tokens WHERE expires_at < now() - interval '1 day'")


def of_nobody(session: Session) -> None:
    """What belongs to no tenant."""
    session.execute(text(SWEEP))
    session.execute(_MAIL_TOKENS)


def of_tenant(session: Session) -> None:
    session.execute(_REFRESH_TOKENS)
    session.execute(_SESSIONS)
