"""A bot's states: every way that there is, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from webapp.records.lifecycle import AFTER, LONGEST_HISTORY, STATES, lifecycle_of, may_follow, moved

WAYS = {(state, after) for state, follows in AFTER.items() for after in follows}


@pytest.mark.parametrize(
    "way",
    [("new", "starting"),
     ("starting", "running"), ("running", "paused"), ("paused", "running"), ("running", "stopping"),
     ("stopping", "stopped"), ("stopped", "starting"), ("running", "failed"), ("failed", "starting"),
     ("stopped", "archived")],
)  # fmt: skip
def test_a_bots_ordinary_way(way: tuple[str, str]) -> None:
    assert way in WAYS


@pytest.mark.parametrize(
    "way", [("new", "running"), ("running", "archived"), ("stopped", "running"), ("running", "new")]
)
def test_no_state_is_left_out(way: tuple[str, str]) -> None:
    assert way not in WAYS


def test_every_state_is_reached_and_every_one_but_the_last_is_left() -> None:
    assert {after for _, after in WAYS} == set(STATES) - {"new"}
    assert [state for state, follows in AFTER.items() if not follows] == ["archived"]
    assert not any(state == after for state, after in WAYS)


def test_out_of_a_state_that_nobody_knows_there_is_every_way() -> None:
    assert may_follow("on_fire") == STATES


@pytest.mark.parametrize("kept", [None, "running", {}, {"state": 7}, []])
def test_a_bot_without_a_lifecycle_is_new_since_it_was_made(kept: Any) -> None:
    assert lifecycle_of({"lifecycle": kept}, 5) == {"state": "new", "since": 5, "history": []}
    assert lifecycle_of({}, None) == {"state": "new", "history": []}


def test_a_lifecycle_that_came_from_elsewhere_is_read_as_far_as_it_can_be() -> None:
    kept = {"state": "active", "since": "yesterday", "history": [1, {"to": "active"}]}
    assert lifecycle_of({"lifecycle": kept}, 5) == {"state": "active", "history": [{"to": "active"}]}


def test_a_change_is_kept_with_who_when_and_why() -> None:
    first = moved(lifecycle_of({}, 5), "starting", at=7, by="ada", reason="first day")
    assert first == {"state": "starting", "since": 7, "history": [
        {"from": "new", "to": "starting", "at": 7, "by": "ada", "reason": "first day"}]}  # fmt: skip
    second = moved(first, "running", at=9, by="ada")
    assert second["history"][1] == {"from": "starting", "to": "running", "at": 9, "by": "ada"}
    assert lifecycle_of({"lifecycle": second}, 5) == second


def test_the_newest_changes_are_kept() -> None:
    lifecycle: dict[str, Any] = lifecycle_of({}, 0)
    for at in range(LONGEST_HISTORY + 5):
        lifecycle = moved(lifecycle, "starting", at=at, by="ada")
    assert [entry["at"] for entry in lifecycle["history"]] == list(range(5, LONGEST_HISTORY + 5))
