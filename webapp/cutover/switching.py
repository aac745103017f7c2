"""The moves of a cutover that change who leads: switch and revert, each under a freeze that ends by itself.

What can fail is handed in (`Steps`), and whatever fails on the way, or is killed, leaves the leader that was. Nothing
is deployed while writes are frozen: every process asks the gate at each request, so who leads is one UPDATE, and a
reload of the processes with another DATA_BACKEND can follow at leisure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from webapp.cutover import runs, shadowing
from webapp.cutover.runs import Run
from webapp.cutover.states import FROZEN, State, require
from webapp.db import Database
from webapp.failures import Failure
from webapp.records import service as records
from webapp.records.service import steering

Say = Callable[[str], None]


class NoGo(Failure):
    """The proof says no; its report says why."""

    code = "PARITY_FAILED"


class RecordsLeftOut(Failure):
    """Some records cannot be rows."""

    code = "RECORDS_LEFT_OUT"


@dataclass(frozen=True)
class Steps:
    """What a switch needs beside the gate. Each raises what is wrong; `prove` gives what is to be kept of its verdict.

    `clear`: what a killed rehearsal left; `carry`: the records that are not yet on the other side; `rehearse`: every
    domain, as a tenant of our own.
    """

    clear: Callable[[], None]
    carry: Callable[[], str]
    prove: Callable[[], dict[str, Any]]
    rehearse: Callable[[], str]


def recover(database: Database, say: Say) -> Run | None:
    """What a killed step left frozen is thawed, and the cutover is where it was before that step. None where there is
    no cutover. Nobody else may steer meanwhile (`runs.steering`)."""
    with database.transaction() as session:
        try:
            run = runs.open_run(session)
        except runs.NoCutover:
            return None
        if run.state not in FROZEN:
            return run
        back = run.came_from or State.SYNCING
        steering.thaw(session)
        say(f"A step was killed while it was {run.state}: writes are thawed, the cutover is {back} again.")
        return runs.move(session, run, back, "taken up again after a step was killed")


def switch(
    database: Database, steps: Steps, say: Say, *, freeze_seconds: int, window: timedelta, shadow: shadowing.Wanted
) -> Run:
    """The next store leads, and writes go on, if everything is as it should be.

    Args:
        freeze_seconds: writes thaw by themselves after that.
        window: for how long a revert is to be possible.
        shadow: the evidence of shadowing that is wanted.

    Raises:
        StepRefused, NoShadow: nothing was begun.
        NoGo, Thawed, StillWriting, whatever the steps raise: the store before leads on, and writes go on.
    """
    with database.transaction() as session:
        run = runs.open_run(session)
        require(run.state, State.SWITCHING)
        evidence = shadowing.evidence(session, run, shadow)
    steps.clear()
    # Once while everybody writes, so that little is left for the freeze.
    say(f"carried over: {steps.carry()}")
    done = _Move(State.SWITCHING, State.OBSERVING, records.SUPABASE, "switched", "carried over")
    return _led(database, run, steps, say, done, freeze_seconds=freeze_seconds, window=window, shadow=evidence)


def revert(database: Database, steps: Steps, say: Say, *, freeze_seconds: int) -> Run:
    """The store before leads again, with what was written since.

    Raises:
        StepRefused: nothing was begun.
        NoGo, Thawed, StillWriting, whatever the steps raise: the store that leads leads on, and writes go on.
    """
    with database.transaction() as session:
        run = runs.open_run(session)
        require(run.state, State.REVERTING)
    steps.clear()
    # As for a switch: once while everybody writes.
    say(f"carried back: {steps.carry()}")
    done = _Move(State.REVERTING, State.REVERTED, records.RTDB, "reverted", "carried back")
    return _led(database, run, steps, say, done, freeze_seconds=freeze_seconds)


@dataclass(frozen=True)
class _Move:
    """`during` the freeze and `to` afterwards; the store that then leads; what is said of it, and of its carrying."""

    during: State
    to: State
    leader: str
    done: str
    carried: str


def _led(
    database: Database, run: Run, steps: Steps, say: Say, move: _Move, *, freeze_seconds: int,
    window: timedelta | None = None, **facts: Any,
) -> Run:  # fmt: skip
    """Under one freeze: the rest is carried, proved and rehearsed, and the other store leads. With a `window`, changes
    are noted for its length."""
    began = time.monotonic()
    with _frozen(database, run, move.during, freeze_seconds, say) as frozen:
        say(f"{move.carried}: {steps.carry()}")
        verdict = steps.prove()
        say("proved: go")
        with database.transaction() as session:
            steering.propose(session, move.leader, run.rehearsal_tenant)
        say(f"rehearsed: {steps.rehearse()}")
        with database.transaction() as session:
            steering.confirm(session, tracking=window is not None)
            seconds = time.monotonic() - began
            found: dict[str, Any] = {"verdict": verdict}
            if window is not None:
                until = session.scalars(select(func.now())).one() + window
                found |= {"window_until": until, "frozen_seconds": seconds}
            runs.keep(session, frozen, **found)
            moved = runs.move(session, frozen, move.to, move.done, **facts, frozen_seconds=seconds)
    say(f"{move.done}: writes were frozen for {seconds:.1f} s")
    return moved


@contextmanager
def _frozen(database: Database, run: Run, during: State, seconds: int, say: Say) -> Iterator[Run]:
    """Writes are frozen within; an error thaws them, and the cutover is where it was."""
    with database.transaction() as session:
        steering.freeze(session, seconds)
        frozen = runs.move(session, run, during, "writes are frozen", at_most_seconds=seconds)
    say(f"frozen: for at most {seconds} s, then writes thaw by themselves")
    try:
        with database.transaction() as session:
            steering.drain(session)
        yield frozen
    except BaseException as error:
        with database.transaction() as session:
            steering.thaw(session)
            runs.move(session, frozen, run.state, "went back", reason=type(error).__name__)
        say(f"went back: writes go on as before, the cutover is {run.state}")
        raise
