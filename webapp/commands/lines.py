"""A line: an agent that this process can hand a command to, by its socket or by a long poll that waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

# Where the time is up and a claim is still under way: look again after this.
SHORTEST_SECONDS = 0.05


@dataclass(frozen=True)
class Want:
    """An agent asked for its next command. `until` by `time.monotonic`; `request_id` goes back with the answer."""

    until: float
    request_id: str | int | None = None


# Gives the answer to a Want: a command's row, or None where the time is up. Raises ChannelClosed where nobody is left.
Answer = Callable[[Want, Any], None]


class Line:
    """Whether something is worth looking for, and whether anybody waits for it. Used by several threads.

    `fresh`: the database has been asked and had nothing, and no word came since. Only where it is not, and somebody
    waits, is the database asked: an idle agent costs no query.
    """

    def __init__(self, tenant: UUID, agent: UUID, answer: Answer, *, revoked: Callable[[], None]) -> None:
        self.tenant, self.agent, self.revoked = tenant, agent, revoked
        self.began = time.monotonic()
        self._answer = answer
        self._lock = threading.Lock()
        self._want: Want | None = None
        self._fresh = self._claiming = self._gone = False

    def ask(self, want: Want) -> bool:
        """Somebody waits; whoever did so before is told of nothing. True where the database has to be asked."""
        with self._lock:
            before, self._want = self._want, want
            look = self._begin_claim()
        if before is not None:
            self._answer(before, None)
        return look

    def word(self) -> bool:
        """There may be something. True where the database has to be asked now."""
        with self._lock:
            self._fresh = False
            return self._begin_claim()

    def left(self) -> float | None:
        """Seconds until whoever waits is told that there was nothing; None where nobody waits."""
        want = self._want
        return None if want is None else max(SHORTEST_SECONDS, want.until - time.monotonic())

    def time_up(self) -> None:
        """Tell whoever has waited long enough. Raises what the answer raises."""
        with self._lock:
            # While a claim is under way its outcome is the answer.
            want = None if self._claiming else self._overdue()
        if want is not None:
            self._answer(want, None)

    def claimed(self, command: Any) -> tuple[bool, bool]:
        """What came of asking the database (None: nothing). Returns (delivered, ask again).

        Not delivered: nobody is left to take it. Raises what the answer raises, and is not delivered then either.
        """
        with self._lock:
            self._claiming = False
            if command is not None:
                want, self._want = (None, self._want) if self._gone else (self._want, None)
                self._fresh = False  # there may be more behind it
            else:
                want = self._overdue()
            again = self._begin_claim()
        if want is not None:
            self._answer(want, command)
        return want is not None, again

    def failed(self) -> None:
        """The database could not be asked: it is as if it had not been."""
        with self._lock:
            self._claiming = self._fresh = False

    def leave(self) -> None:
        """Nobody is there any more."""
        with self._lock:
            self._gone, self._want = True, None

    def _begin_claim(self) -> bool:
        """True where the caller has to ask the database; then `claimed` or `failed` must follow."""
        if self._gone or self._want is None or self._fresh or self._claiming:
            return False
        self._claiming = self._fresh = True
        return True

    def _overdue(self) -> Want | None:
        want = self._want
        if want is None or time.monotonic() < want.until:
            return None
        self._want = None
        return want
