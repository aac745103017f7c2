"""The cutover that is on its way: one row, moved from state to state, and a line for each move that stays.

Everything here is the tables' owner's. A state and what it means for the gate change in one transaction, so that no
kill comes between the two.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.cutover.states import ENDS, State, require
from webapp.cutover.target import APPLICATION, CutoverRunning, alone
from webapp.failures import Failure
from webapp.variables import DatabaseUrl

# Any number that nothing else takes: whoever steers a cutover is alone.
_STEERS = 0x6D6F6F7A
_COLUMNS = "id, state, came_from, rehearsal_tenant, begun_at, state_at, window_until, version, verdict, frozen_seconds"
_OPEN = text(f"SELECT {_COLUMNS} FROM cutover_runs WHERE ended_at IS NULL FOR UPDATE")  # noqa: S608 - ours
_LAST = text(f"SELECT {_COLUMNS} FROM cutover_runs ORDER BY id DESC LIMIT 1")  # noqa: S608 - ours
_BEGIN = text("INSERT INTO cutover_runs (state, version, rehearsal_tenant) VALUES (:state, :version, :tenant)")
_MOVE = text(f"""
UPDATE cutover_runs SET state = :state, came_from = state, state_at = clock_timestamp(),
    ended_at = CASE WHEN :ends THEN clock_timestamp() END
WHERE id = :id RETURNING {_COLUMNS}
""")  # noqa: S608 - ours
_NOTE = text("INSERT INTO cutover_events (run_id, state, words, facts) VALUES (:id, :state, :words, :facts)")
_EVENTS = text("SELECT at, state, words, facts FROM cutover_events WHERE run_id = :id ORDER BY id")


class NoCutover(Failure):
    code = "NO_CUTOVER"


class CutoverOpen(Failure):
    code = "CUTOVER_OPEN"


@dataclass(frozen=True)
class Run:
    """`came_from`: the state before. `window_until`: until when a revert is to be possible. `frozen_seconds`: how long
    writes were frozen for the switch."""

    id: int
    state: State
    came_from: State | None
    rehearsal_tenant: UUID
    begun_at: datetime
    state_at: datetime
    window_until: datetime | None
    version: str
    verdict: Mapping[str, Any] | None
    frozen_seconds: float | None


@contextmanager
def steering(owner: DatabaseUrl) -> Iterator[None]:
    """Alone for the block, and for no longer than this process lives. Raises CutoverRunning, psycopg.Error."""
    with psycopg.connect(owner.render(), autocommit=True, application_name=APPLICATION, connect_timeout=10) as held:
        if not alone(held, _STEERS):
            raise CutoverRunning("Somebody else is moving this cutover just now. Wait for the end of that, and look.")
        yield


def begin(session: Session, version: str, rehearsal_tenant: UUID) -> Run:
    """Raises CutoverOpen where there is one."""
    try:
        session.execute(_BEGIN, {"state": State.SYNCING, "version": version, "tenant": rehearsal_tenant})
    except IntegrityError:
        raise CutoverOpen("A cutover is on its way already: `moorage cutover status` says how far it is.") from None
    made = open_run(session)
    note(session, made, "begun")
    return made


def open_run(session: Session) -> Run:
    """The one that is on its way, held until the end of the transaction. Raises NoCutover."""
    row = session.execute(_OPEN).one_or_none()
    if row is None:
        raise NoCutover("No cutover is on its way: `moorage cutover begin` begins one.")
    return _run(row)


def last_run(session: Session) -> Run | None:
    """The one that is on its way, or the last that was."""
    row = session.execute(_LAST).one_or_none()
    return _run(row) if row else None


def move(session: Session, run: Run, to: State, words: str, **facts: Any) -> Run:
    """The run in its next state. Raises StepRefused."""
    require(run.state, to)
    moved = _run(session.execute(_MOVE, {"state": to, "id": run.id, "ends": to in ENDS}).one())
    note(session, moved, words, **facts)
    return moved


def keep(session: Session, run: Run, **columns: Any) -> None:
    """Write down what a step found: `window_until`, `verdict`, `frozen_seconds`."""
    sets = ", ".join(f"{name} = :{name}" for name in columns)
    values = {name: json.dumps(value) if name == "verdict" else value for name, value in columns.items()}
    session.execute(text(f"UPDATE cutover_runs SET {sets} WHERE id = :id"), {**values, "id": run.id})  # noqa: S608 - ours


def note(session: Session, run: Run, words: str, **facts: Any) -> None:
    """A line of what happened."""
    session.execute(_NOTE, {"id": run.id, "state": run.state, "words": words, "facts": json.dumps(facts)})


def events(session: Session, run: Run) -> list[dict[str, Any]]:
    """What happened so far, in order."""
    return [dict(row._mapping) for row in session.execute(_EVENTS, {"id": run.id})]


def _run(row: Any) -> Run:
    facts = dict(row._mapping)
    facts["came_from"] = facts["came_from"] and State(facts["came_from"])
    return Run(**{**facts, "state": State(facts["state"])})
