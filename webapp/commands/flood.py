"""How much an agent may say: a bucket of frames that fills up again steadily."""

from __future__ import annotations

import time
from collections.abc import Callable

# An agent that works says a few frames a second; one that comes back from an outage has a journal to hand in.
FRAMES_A_SECOND = 50.0
BURST = 1200


class Bucket:
    """BURST frames at once, FRAMES_A_SECOND in the long run."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left, self._at = float(BURST), clock()

    def overflows(self) -> bool:
        """Count one frame. True where it is one too many."""
        now = self._clock()
        self._left = min(float(BURST), self._left + (now - self._at) * FRAMES_A_SECOND) - 1
        self._at = now
        return self._left < 0
