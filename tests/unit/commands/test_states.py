"""The life of a command: every change from every status, and what no sequence of changes can bring about."""

from __future__ import annotations

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from webapp.commands.states import (
    BY_AGENT,
    ENDS,
    MOST_HANDED_OUT,
    OPEN,
    STATUSES,
    Change,
    Life,
    after,
    sources,
)

C = Change
# From each status, what may happen and what it comes to; all else changes nothing. Handed out once.
TABLE = {
    "queued": {C.CLAIM: "dispatched", C.ACKNOWLEDGE: "running", C.PROGRESS: "running"},
    "dispatched": {C.ACKNOWLEDGE: "running", C.PROGRESS: "running", C.REQUEUE: "queued"},
    "running": {C.PROGRESS: "running"},
}
FROM_ALL_OPEN = {
    C.SUCCEED: "succeeded", C.FAIL: "failed", C.AGENT_EXPIRE: "expired", C.AGENT_CANCEL: "cancelled",
    C.EXPIRE: "expired", C.CANCEL: "cancelled",
}  # fmt: skip


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("change", Change)
def test_what_each_change_does_in_each_status(status: str, change: Change) -> None:
    expected = (TABLE.get(status, {}) | (FROM_ALL_OPEN if status in OPEN else {})).get(change)
    came = after(Life(status, 1), change)
    assert (came.status if came else None) == expected
    assert came is None or status in sources(change)


@pytest.mark.parametrize("change", BY_AGENT)
def test_an_agent_says_nothing_of_what_it_was_never_given(change: Change) -> None:
    assert after(Life("queued", 0), change) is None


def test_twice_back_to_the_queue_and_then_it_has_failed() -> None:
    life = Life()
    for _ in range(MOST_HANDED_OUT - 1):
        life = after(life, C.CLAIM) or pytest.fail()
        assert after(life, C.GIVE_UP) is None
        life = after(life, C.REQUEUE) or pytest.fail()
    life = after(life, C.CLAIM) or pytest.fail()
    assert life.handed_out == 3 and after(life, C.REQUEUE) is None
    assert after(life, C.GIVE_UP) == Life("failed", 3)


class AnyLife(RuleBasedStateMachine):
    """Whatever happens in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.lived = [Life()]

    @rule(change=strategies.sampled_from(Change))
    def happen(self, change: Change) -> None:
        if (came := after(self.lived[-1], change)) is not None:
            self.lived.append(came)

    @invariant()
    def an_end_is_the_end(self) -> None:
        assert not any(life.ended for life in self.lived[:-1])

    @invariant()
    def no_step_back_but_to_the_queue(self) -> None:
        order = {status: place for place, status in enumerate(OPEN)}
        for before, came in zip(self.lived, self.lived[1:], strict=False):
            back = not came.ended and order[came.status] < order[before.status]
            assert not back or (before.status, came.status) == ("dispatched", "queued")

    @invariant()
    def handed_out_three_times_at_most(self) -> None:
        assert self.lived[-1].handed_out <= MOST_HANDED_OUT

    @invariant()
    def it_can_always_come_to_an_end(self) -> None:
        life = self.lived[-1]
        assert life.ended or after(life, C.EXPIRE) is not None

    @invariant()
    def nothing_that_ended_well_was_never_handed_out(self) -> None:
        life = self.lived[-1]
        assert life.status != "succeeded" or life.handed_out


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


def test_the_statuses_are_the_contracts() -> None:
    assert STATUSES == ("queued", "dispatched", "running", "succeeded", "failed", "expired", "cancelled")
    assert STATUSES[3:] == ENDS
