"""A check's days: which minutes are known, which were down, and what that makes of 90 days. Pure functions of data.

A day is `{"known": how many minutes, "down": [[first, after], …], "last": the last known minute, "sealed": bool}`, its
minutes counted from midnight in UTC. A minute that nobody looked at is neither up nor down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

MINUTES = 1440
# One look that failed is a blink, not an incident. Its minute counts as down all the same.
SHORTEST_INCIDENT = 2
# Prometheus may be looking again after a restart: what is older is no longer "now".
FRESH_SECONDS = 300

Day = dict[str, Any]
Days = dict[str, Day]


def midnight(day: str) -> float:
    """When a day (`2026-11-28`) began."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()


def window(now: float, length: int) -> list[str]:
    """The last days, the oldest first, today the last."""
    today = datetime.fromtimestamp(now, UTC).date()
    return [str(today - timedelta(days=back)) for back in reversed(range(length))]


def day_of(day: str, samples: Iterable[tuple[float, float]], *, over: bool) -> Day:
    """A day out of Prometheus' samples, each the share of looks that went well in the minute before its time."""
    begun, known, down = midnight(day), set(), set()
    for at, share in samples:
        minute = round((at - begun) / 60) - 1
        if 0 <= minute < MINUTES:
            known.add(minute)
            if share < 0.5:
                down.add(minute)
    return {"known": len(known), "down": list(runs(down)), "last": max(known, default=-1), "sealed": over}


def runs(minutes: Iterable[int]) -> Iterator[list[int]]:
    """Minutes that follow each other, as [first, after]."""
    first = after = -1
    for minute in sorted(minutes):
        if minute != after:
            if first >= 0:
                yield [first, after]
            first = minute
        after = minute + 1
    if first >= 0:
        yield [first, after]


def down_minutes(day: Mapping[str, Any]) -> int:
    """How long it was down, in minutes."""
    return sum(after - first for first, after in day["down"])


def uptime(days: Iterable[Mapping[str, Any] | None]) -> float | None:
    """Share of the known minutes that were up; None where none is known."""
    seen = [day for day in days if day and day["known"]]
    known = sum(day["known"] for day in seen)
    return 1 - sum(map(down_minutes, seen)) / known if known else None


def last_known(days: Days) -> tuple[float, bool] | None:
    """When it was last known how the check is, and whether it was up."""
    for day in sorted(days, reverse=True):
        if days[day]["known"]:
            last = days[day]["last"]
            up = not any(first <= last < after for first, after in days[day]["down"])
            return midnight(day) + (last + 1) * 60, up
    return None


def state(days: Days, now: float) -> dict[str, Any]:
    """How it is now: `up`, `down`, or `unknown` since when."""
    last = last_known(days)
    if last is None or now - last[0] > FRESH_SECONDS:
        return {"state": "unknown", "since": last[0] if last else None}
    return {"state": "up" if last[1] else "down"}


def incidents(days: Days, now: float) -> list[dict[str, Any]]:
    """Each time it was down, the latest first; `end` is None while it lasts."""
    spans: list[list[float]] = []
    for day in sorted(days):
        for first, after in days[day]["down"]:
            begin, end = midnight(day) + first * 60, midnight(day) + after * 60
            if spans and spans[-1][1] == begin:
                spans[-1][1] = end
            else:
                spans.append([begin, end])
    last, lasting = last_known(days), state(days, now)["state"] == "down"
    return [
        {"begin": begin, "end": None if lasting and last and end == last[0] else end}
        for begin, end in reversed(spans)
        if end - begin >= SHORTEST_INCIDENT * 60
    ]


def is_over(day: str, now: float) -> bool:
    """Whether nothing can be added to a day any more."""
    return now > midnight(str(date.fromisoformat(day) + timedelta(days=1))) + FRESH_SECONDS
