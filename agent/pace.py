"""Time as the agent lives it: durations, waits that a stop ends, back-off, and what the server's clock says.

The machine's wall clock decides nothing here: it may be wrong by minutes, and nobody notices until work is refused.
"""

from __future__ import annotations

import random
import threading
import time
from datetime import datetime
from email.utils import parsedate_to_datetime

# Back-off between connections: the ceiling doubles up to 30 s; what is waited lies anywhere between 1 s and it.
SHORTEST_WAIT = 1.0
LONGEST_WAIT = 30.0


def elapsed() -> float:
    """Seconds since some moment, counting on while the machine sleeps where the system can tell (Linux)."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Pace:
    """Waits and durations. `stop()` ends every wait at once, in every thread."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def now(self) -> float:
        return elapsed()

    def wait(self, seconds: float) -> bool:
        """Waits; true when it was ended by a stop."""
        return self._stop.wait(seconds)

    def stop(self) -> None:
        self._stop.set()

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()


class Backoff:
    """Full jitter under a doubling ceiling: thousands of agents that lost one server come back spread out."""

    def __init__(self, *, longest: float = LONGEST_WAIT, random_source: random.Random | None = None) -> None:
        self._longest = longest
        self._random = random_source or random.SystemRandom()
        self.failures = 0

    def next(self) -> float:
        """Seconds to wait before the next try: between 1 s and min(30 s, 2 to the number of failures)."""
        self.failures += 1
        ceiling = min(self._longest, 2.0 ** min(self.failures, 10))
        return self._random.uniform(min(SHORTEST_WAIT, ceiling), ceiling)

    def at_once(self) -> float:
        """The small random pause before coming back to a server that said it restarts (close code 1012)."""
        return self._random.uniform(0.05, 1.0)

    def reset(self) -> None:
        self.failures = 0


class ServerClock:
    """The server's time, carried on by the local duration since it was last heard."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._heard: tuple[float, float] | None = None

    def heard(self, server_time: float | None) -> None:
        """Takes a time (seconds since the epoch) that the server said just now; None is passed over."""
        if server_time is not None:
            self._heard = (server_time, self._pace.now())

    def now(self) -> float | None:
        """Seconds since the epoch by the server's clock; None before the server has said a time."""
        if self._heard is None:
            return None
        said, then = self._heard
        return said + self._pace.now() - then

    def is_past(self, moment: float | None) -> bool:
        """Is that moment over for the server? No, where there is no moment or no time from the server yet."""
        now = self.now()
        return moment is not None and now is not None and now >= moment


def timestamp(text: object) -> float | None:
    """Seconds since the epoch of an RFC 3339 text, or None where it is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def http_date(text: str | None) -> float | None:
    """Seconds since the epoch of a `Date` header, or None where it is none."""
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except ValueError:
        return None
