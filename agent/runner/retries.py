"""What is tried again, what never, and until when. The table of docs/reference/runner.md is this file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from agent.failures import Failure, Refused, Unreachable
from agent.pace import Backoff, Pace

log = logging.getLogger("agent.runner")

T = TypeVar("T")
TIME_LIMIT_EXIT = 4
# A server that asks for more patience than this gets asked once more after it all the same.
LONGEST_RETRY_AFTER = 300.0


class Remedy(Enum):
    NEVER = "never"
    AGAIN = "again, after a pause"
    NEW_LEASE = "a new lease, then again"


def remedy(failure: Failure) -> Remedy:
    """Network errors, 408, 429 and 5xx pass; an expired lease is replaced; every other refusal is final."""
    if isinstance(failure, Unreachable):
        return Remedy.AGAIN
    if isinstance(failure, Refused):
        if failure.code == "LEASE_EXPIRED":
            return Remedy.NEW_LEASE
        if failure.status in (408, 429) or failure.status >= 500:
            return Remedy.AGAIN
    return Remedy.NEVER


class Patience:
    """The time that is left for everything together, by durations only."""

    def __init__(self, pace: Pace, seconds: float) -> None:
        self._pace, self._seconds = pace, seconds
        self._end = pace.now() + seconds
        self.backoff = Backoff()

    def left(self) -> float:
        return max(0.0, self._end - self._pace.now())

    def check(self, last: Failure | None = None) -> None:
        """Failure TIME_LIMIT when the time is up."""
        if not self.left():
            why = f" The last thing that failed: {last}" if last else ""
            raise Failure("TIME_LIMIT", f"Not done after {self._seconds:.0f} s.{why} What was downloaded is kept beside"
                          " the output; run the same command again to go on.", exit_code=TIME_LIMIT_EXIT)

    def rest(self, failure: Failure) -> None:
        """The pause before the next try: what the server asked for, else the back-off. Failure TIME_LIMIT."""
        asked = failure.retry_after if isinstance(failure, Refused) else None
        pause = self.backoff.next() if asked is None else min(max(1.0, asked), LONGEST_RETRY_AFTER)
        log.warning("Tried again after a pause", extra={"why": str(failure), "pause": round(pause, 1)})
        self._pace.wait(min(pause, self.left()))
        self.check(failure)

    def keep_trying(self, call: Callable[[], T], *, new_lease: Callable[[], None] | None = None) -> T:
        """The call's answer, as soon as there is one. Raises what is final, and TIME_LIMIT."""
        while True:
            try:
                answer = call()
            except Failure as failure:
                found = remedy(failure)
                if found is Remedy.NEVER or (found is Remedy.NEW_LEASE and new_lease is None):
                    raise
                self.rest(failure)
                if found is Remedy.NEW_LEASE and new_lease is not None:
                    new_lease()
            else:
                self.backoff.reset()
                return answer
