"""What becomes of samples: minutes that are up, down or unknown, days, incidents, and how it is now."""

from __future__ import annotations

from typing import Any

import pytest
from moorage_status import days

DAY = "2026-11-27"
BEGUN = days.midnight(DAY)
NOW = BEGUN + days.MINUTES * 60


def samples(*minutes: tuple[int, int, float]) -> list[tuple[float, float]]:
    """As Prometheus gives them: each at the end of its minute."""
    return [(BEGUN + (minute + 1) * 60, share) for first, after, share in minutes for minute in range(first, after)]


def day(down: list[list[int]], known: int = days.MINUTES, last: int = days.MINUTES - 1) -> dict[str, Any]:
    return {"known": known, "down": down, "last": last, "sealed": True}


@pytest.mark.parametrize(
    ("given", "known", "down", "last"),
    [
        ([], 0, [], -1),
        ([(0, 1440, 1.0)], 1440, [], 1439),
        ([(0, 10, 1.0), (10, 20, 0.0), (20, 30, 1.0)], 30, [[10, 20]], 29),
        ([(0, 1, 0.0), (1439, 1440, 0.0)], 2, [[0, 1], [1439, 1440]], 1439),
        ([(5, 6, 0.75), (6, 7, 0.5), (7, 8, 0.25)], 3, [[7, 8]], 7),  # most looks decide
        ([(0, 5, 0.0), (10, 15, 0.0)], 10, [[0, 5], [10, 15]], 14),  # what is not known is not down
        ([(-5, 5, 1.0), (1435, 1445, 1.0)], 10, [], 1439),  # other days' minutes
    ],
)
def test_a_day_of_samples(given: Any, known: int, down: Any, last: int) -> None:
    assert days.day_of(DAY, samples(*given), over=True) == {"known": known, "down": down, "last": last, "sealed": True}


@pytest.mark.parametrize(
    ("given", "share"),
    [
        ([], None),
        ([None], None),
        ([day([], known=0)], None),
        ([day([])], 1.0),
        ([day([[0, 144]])], 0.9),
        ([day([[0, 144]]), None, day([])], 0.95),
        ([day([[0, 5]], known=10)], 0.5),  # of what is known, not of the day
    ],
)
def test_uptime_is_of_the_known_minutes(given: Any, share: float | None) -> None:
    assert days.uptime(given) == (pytest.approx(share) if share is not None else None)


@pytest.mark.parametrize(
    ("found", "later", "said"),
    [
        ({}, 0, {"state": "unknown", "since": None}),
        ({DAY: day([], known=0, last=-1)}, 0, {"state": "unknown", "since": None}),
        ({DAY: day([])}, 0, {"state": "up"}),
        ({DAY: day([])}, 300, {"state": "up"}),
        ({DAY: day([])}, 301, {"state": "unknown", "since": NOW}),
        ({DAY: day([[1430, 1440]])}, 60, {"state": "down"}),
        ({DAY: day([[1430, 1439]])}, 60, {"state": "up"}),
        ({DAY: day([]), "2026-11-28": day([], known=0, last=-1)}, 60, {"state": "up"}),
    ],
)
def test_what_is_not_known_is_never_called_well(found: Any, later: int, said: Any) -> None:
    assert days.state(found, NOW + later) == said


@pytest.mark.parametrize(
    ("found", "spans"),
    [
        ({DAY: day([])}, []),
        ({DAY: day([[10, 11]])}, []),  # a blink
        ({DAY: day([[10, 12], [20, 50]])}, [(20, 50), (10, 12)]),
        ({DAY: day([[1430, 1440]]), "2026-11-28": day([[0, 10]], last=600)}, [(1430, 1450)]),  # past midnight
        ({DAY: day([[1439, 1440]]), "2026-11-28": day([[0, 1]], last=600)}, [(1439, 1441)]),
        ({DAY: day([[1430, 1440]]), "2026-11-28": day([[5, 10]], last=600)}, [(1445, 1450), (1430, 1440)]),
    ],
)
def test_incidents(found: Any, spans: list[tuple[int, int]]) -> None:
    said = [(one["begin"], one["end"]) for one in days.incidents(found, NOW + 86400)]
    assert said == [(BEGUN + first * 60, BEGUN + after * 60) for first, after in spans]


def test_one_that_lasts_has_no_end() -> None:
    assert days.incidents({DAY: day([[1400, 1440]])}, NOW + 60) == [{"begin": BEGUN + 1400 * 60, "end": None}]


def test_the_window_ends_today() -> None:
    assert days.window(NOW - 1, 3) == ["2026-11-25", "2026-11-26", "2026-11-27"]


@pytest.mark.parametrize(("later", "over"), [(-1, False), (1, False), (300, False), (301, True)])
def test_a_day_is_over_a_little_after_midnight(later: int, over: bool) -> None:
    assert days.is_over(DAY, NOW + later) is over
