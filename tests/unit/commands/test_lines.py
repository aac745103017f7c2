"""When the database is asked for a line's next command, and what whoever waits is told."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import pytest

from webapp.commands.flood import BURST, FRAMES_A_SECOND, Bucket
from webapp.commands.lines import Line, Want


class Heard(list[tuple[Any, Any]]):
    def __call__(self, want: Want, command: Any) -> None:
        self.append((want.request_id, command))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def line(heard: Heard) -> Line:
    return Line(uuid4(), uuid4(), heard, revoked=lambda: None)


def soon(number: str = "n", seconds: float = 60) -> Want:
    return Want(time.monotonic() + seconds, number)


def test_the_first_question_looks_and_the_next_ones_do_not(line: Line) -> None:
    assert line.ask(soon())
    assert line.claimed(None) == (False, False)
    assert not line.ask(soon()), "an idle agent costs no query"


def test_a_word_makes_whoever_waits_look(line: Line) -> None:
    assert not line.word(), "nobody waits yet"
    assert line.ask(soon())
    assert not line.word(), "a claim is under way"
    assert line.claimed(None) == (False, True), "and it may have come too early for that word"


def test_behind_a_command_there_may_be_another(line: Line, heard: Heard) -> None:
    line.ask(soon("a"))
    assert line.claimed("command") == (True, False)
    assert heard == [("a", "command")]
    assert line.ask(soon("b"))


def test_who_has_waited_long_enough_is_told_but_not_amid_a_claim(line: Line, heard: Heard) -> None:
    line.ask(soon(seconds=0))
    line.time_up()
    assert heard == [], "the claim's outcome is the answer"
    assert line.claimed("late but here") == (True, False)
    assert heard == [("n", "late but here")]
    line.ask(soon(seconds=0))
    assert line.claimed(None) == (True, False) and heard[-1] == ("n", None)
    line.ask(soon(seconds=0))
    line.time_up()
    assert len(heard) == 3 and line.left() is None


def test_a_second_question_answers_the_first(line: Line, heard: Heard) -> None:
    line.ask(soon("first"))
    line.ask(soon("second"))
    assert heard == [("first", None)]
    line.claimed("c")
    assert heard[-1] == ("second", "c")


def test_a_command_for_a_line_that_left_is_not_delivered(line: Line, heard: Heard) -> None:
    line.ask(soon())
    line.leave()
    assert line.claimed("c") == (False, False) and heard == []


def test_what_failed_is_tried_again_with_the_next_word(line: Line) -> None:
    line.ask(soon())
    line.failed()
    assert line.word()


def test_frames_fill_a_bucket_that_drains_steadily() -> None:
    now = 0.0
    bucket = Bucket(clock=lambda: now)
    assert not any(bucket.overflows() for _ in range(BURST))
    assert bucket.overflows()
    now = 10.0
    assert sum(not bucket.overflows() for _ in range(BURST)) == pytest.approx(10 * FRAMES_A_SECOND, abs=1)
