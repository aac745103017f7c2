"""Times in the three notations that records have them in: RFC 3339 texts, seconds and milliseconds since the epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

# Below, a number is seconds: 10^11 s is the year 5138, 10^11 ms is March 1973. The rule.
FIRST_MILLIS = 10**11
# ECMA-262's largest time, 10^8 days each side of the epoch.
LARGEST_MILLIS = 8_640_000_000_000_000
DAY_MILLIS = 86_400_000
_EPOCH_DAY = datetime(1970, 1, 1, tzinfo=UTC).toordinal()
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def millis_of(value: Any) -> int | None:
    """Milliseconds since the epoch, rounded down; None for what is no time. What is finer is cut off."""
    if isinstance(value, str):
        return _of_text(value) if _RFC3339.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        found = value * 1000 if abs(value) < FIRST_MILLIS else value
    elif not abs(value) <= LARGEST_MILLIS:  # also of what is no number
        return None
    else:
        # As it is written, and not as a double has it: 1.001 s are 1001 ms.
        exact = Decimal(repr(value))
        found = int((exact * 1000 if abs(value) < FIRST_MILLIS else exact).__floor__())
    return found if abs(found) <= LARGEST_MILLIS else None


def day_start(text: str) -> int | None:
    """Milliseconds of a date's midnight in UTC (`2026-11-20`); None for what is no date."""
    return _of_text(f"{text}T00:00:00Z") if _DATE.fullmatch(text) else None


def happened_at(body: dict[str, Any], created_at: int | None) -> int | None:
    """When a financial operation happened: its `date`, else `ts`, else `occurred_at`, else when it was recorded.

    The column of migration 0011 computes the same.
    """
    for name in ("date", "ts", "occurred_at"):
        value = body.get(name)
        found = day_start(value) if isinstance(value, str) and len(value) == len("2026-11-20") else millis_of(value)
        if found is not None:
            return found
    return created_at


def _of_text(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    offset = moment.utcoffset()
    seconds = moment.hour * 3600 + moment.minute * 60 + moment.second - (int(offset.total_seconds()) if offset else 0)
    return (moment.toordinal() - _EPOCH_DAY) * DAY_MILLIS + seconds * 1000 + moment.microsecond // 1000
