"""The states of a cutover, and which follows which. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from webapp.failures import Failure


class State(StrEnum):
    """What is going on, and which store leads meanwhile."""

    SYNCING = "syncing"  # the store before leads; records are carried over beside it
    SHADOWING = "shadowing"  # it leads still; the next one is written with it, and asked the same
    SWITCHING = "switching"  # writes are frozen; it leads still, also if nothing follows
    OBSERVING = "observing"  # the next one leads; what is written is noted, to be carried back
    REVERTING = "reverting"  # writes are frozen; the next one leads still
    REVERTED = "reverted"
    FINISHED = "finished"
    ABANDONED = "abandoned"


S = State
NEXT: Mapping[State, frozenset[State]] = {
    S.SYNCING: frozenset({S.SHADOWING, S.SWITCHING, S.ABANDONED}),
    S.SHADOWING: frozenset({S.SYNCING, S.SWITCHING, S.ABANDONED}),
    S.SWITCHING: frozenset({S.OBSERVING, S.SHADOWING, S.SYNCING}),
    S.OBSERVING: frozenset({S.REVERTING, S.FINISHED}),
    S.REVERTING: frozenset({S.REVERTED, S.OBSERVING}),
}
ENDS = frozenset({S.REVERTED, S.FINISHED, S.ABANDONED})
FROZEN = frozenset({S.SWITCHING, S.REVERTING})


class StepRefused(Failure):
    """This step does not follow the present state."""

    code = "STEP_REFUSED"


def require(state: State, to: State) -> None:
    """Raises StepRefused, saying what can be done instead."""
    allowed = NEXT.get(state, frozenset())
    if to not in allowed:
        words = ", ".join(sorted(allowed)) or "nothing: it has ended"
        raise StepRefused(f"The cutover is {state}, and cannot become {to}. What follows {state}: {words}.")
