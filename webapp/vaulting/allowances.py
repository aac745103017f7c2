"""The one way round the refusal of plaintext: field paths that a tenant lets through for records it migrates."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from webapp.audit import service as audit
from webapp.caller import Caller
from webapp.vaulting.models import Allowance


def allowed_paths(session: Session) -> list[str]:
    """The paths of the session's tenant (`records.bots.token`), in order: `allowed` of `fields.refuse_plaintext`."""
    return list(session.scalars(select(Allowance.path).order_by(Allowance.path)))


def allow(session: Session, caller: Caller, paths: Iterable[str]) -> list[str]:
    """Let these paths through, and no others. What was there before is in the audit log."""
    # Of two who set the list at once, the second one's replaces the first one's: else both would stand, or neither.
    lock = func.pg_advisory_xact_lock(func.hashtextextended(f"allowances {caller.tenant}", 0))
    session.execute(select(lock))
    wanted, before = sorted(set(paths)), allowed_paths(session)
    session.execute(delete(Allowance))
    if wanted:
        rows = [{"tenant_id": caller.tenant, "path": path, "created_by": caller.user_id} for path in wanted]
        session.execute(insert(Allowance), rows)
    audit.record(
        session, caller, "secret_allowances_changed",
        details={"added": sorted(set(wanted) - set(before)), "removed": sorted(set(before) - set(wanted))},
    )  # fmt: skip
    return wanted
