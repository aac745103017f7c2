"""Moving the gate: for the cutover alone, on a session of the tables' owner.

No move has to be undone by hand: a freeze ends at its time, and with it a switch that was not confirmed.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from webapp.failures import Failure
from webapp.records import gate
from webapp.records.gate import Gate
from webapp.settings_records import RTDB

# Ten minutes unless told, thirty at most.
FREEZE_SECONDS, LONGEST_FREEZE_SECONDS = 600, 1800
# A request ends by then (db.STATEMENT_TIMEOUT_MS).
DRAIN_SECONDS = 35
_LOCK_NOT_AVAILABLE = "55P03"


class StoreDisagrees(Failure):
    """The settings name another store than the one that leads."""

    code = "STORE_DISAGREES"


class Thawed(Failure):
    """The freeze has ended, so others may have written since: nothing that was found under it holds any more."""

    code = "FREEZE_ENDED"


class StillWriting(Failure):
    """Somebody who was let in before the freeze has not ended."""

    code = "WRITERS_REMAIN"


def look(session: Session) -> Gate:
    """How the gate stands."""
    return gate.look(session)


def settle(session: Session, configured: str, *, reaches: bool) -> bool:
    """Before a version serves: what leads is what DATA_BACKEND says, or a cutover is moving it. Says what leads where
    nobody has yet; whether it did.

    Args:
        reaches: the version has an rtdb to reach.

    Raises:
        StoreDisagrees: nothing may be flipped behind a cutover's back.
    """
    stands = gate.look(session)
    if stands.retired and (reaches or configured == RTDB):
        raise StoreDisagrees(
            "A cutover from rtdb was finished here: its settings are refused. Take RTDB_URL and RTDB_SECRET away, and"
            " set controlplane_data_backend: supabase."
        )
    if stands.leader is None:
        lead(session, configured)
        return True
    moving = stands.tracking or stands.shadowing or stands.frozen_seconds
    if stands.leader != configured and not moving:
        raise StoreDisagrees(
            f"DATA_BACKEND is {configured}, and records are led by {stands.leader}. A cutover moves them"
            f" (docs/how-to/cutover.md); set controlplane_data_backend: {stands.leader} again. Nothing was changed."
        )
    return False


def lead(session: Session, store: str) -> None:
    """What leads, from here on by this row and no longer by DATA_BACKEND."""
    _move(session, "leader = :store", store=store)


def shadow(session: Session, on: bool) -> None:
    """Reads and writes go to both stores, or to the leader alone. What was seen before is forgotten."""
    for table in ("record_shadow_reads", "record_shadow_differences"):
        session.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - ours
    _move(session, "shadowing = :on", on=on)


def freeze(session: Session, seconds: int = FREEZE_SECONDS) -> None:
    """Writes are frozen for at most so many seconds, from the commit on; `drain` then waits for those who write still.

    Raises:
        ValueError: not from 1 to LONGEST_FREEZE_SECONDS.
    """
    if not 1 <= seconds <= LONGEST_FREEZE_SECONDS:
        raise ValueError(f"a freeze has 1 to {LONGEST_FREEZE_SECONDS} seconds, not {seconds}")
    _move(session, "frozen_until = clock_timestamp() + make_interval(secs => :seconds)", seconds=seconds)


def drain(session: Session) -> None:
    """Wait until nobody writes who was let in before. Raises StillWriting."""
    session.execute(text(f"SET LOCAL lock_timeout = '{DRAIN_SECONDS}s'"))
    session.execute(text(f"SET LOCAL statement_timeout = '{DRAIN_SECONDS + 5}s'"))
    try:
        session.execute(text(f"SELECT pg_advisory_xact_lock({gate.WRITERS})"))
    except OperationalError as error:
        if getattr(error.orig, "pgcode", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise StillWriting(
            f"A request that writes records has not ended within {DRAIN_SECONDS} s; pg_stat_activity shows whose it"
            " is. Nothing was switched."
        ) from error


def propose(session: Session, store: str, rehearsing: UUID) -> None:
    """Under a freeze: where the switch goes, and the tenant that may try it. Raises Thawed."""
    _under_freeze(session, "next_leader = :store, rehearsing = :tenant", store=store, tenant=rehearsing)


def confirm(session: Session, *, tracking: bool) -> None:
    """Under a freeze: what was proposed leads, writes thaw, and changes are noted from here on, or no longer. In one
    move: there is no moment at which neither store led, or both. Raises Thawed."""
    session.execute(text("DELETE FROM record_changes"))
    _under_freeze(
        session,
        "leader = next_leader, next_leader = NULL, rehearsing = NULL, frozen_until = NULL, shadowing = false,"
        " tracking = :tracking",
        "next_leader IS NOT NULL",
        tracking=tracking,
    )


def thaw(session: Session) -> None:
    """Writes go on where they did."""
    _move(session, "frozen_until = NULL, next_leader = NULL, rehearsing = NULL")


def retire(session: Session) -> None:
    """The store before is not to be used again, and no changes are noted any more."""
    session.execute(text("DELETE FROM record_changes"))
    _move(session, "retired = true, tracking = false")


def _move(session: Session, assignments: str, condition: str = "true", **values: object) -> int:
    done = session.execute(text(f"UPDATE record_gate SET {assignments} WHERE {condition}"), values)  # noqa: S608 - ours
    return int(done.rowcount)  # type: ignore[attr-defined]  # of an UPDATE it has one


def _under_freeze(session: Session, assignments: str, further: str = "true", **values: object) -> None:
    if not _move(session, assignments, f"frozen_until > clock_timestamp() AND {further}", **values):
        raise Thawed("The freeze has ended by itself, and what led before leads on. Nothing was switched.")
