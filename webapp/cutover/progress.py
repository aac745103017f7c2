"""How far a run is, on stderr: a line a second at most, with rate and time left."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import IO

from webapp.cutover.sources import Place

EVERY_SECONDS = 1.0


class Meter:
    """`to`: where lines go; None for nowhere."""

    def __init__(self, to: IO[str] | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._to, self._clock = to, clock
        self._place, self._total = "", None  # type: str, int | None
        self._began = self._told = 0.0
        self._start = self._count = 0

    def begin(self, place: Place, total: int | None, start: int) -> None:
        """`total` records, of which `start` are done already."""
        self.begin_all(str(place), total, start)

    def begin_all(self, name: str, total: int | None, start: int = 0) -> None:
        """The same for what is no single collection."""
        self._place, self._total, self._start, self._count = name, total, start, start
        self._began = self._told = self._clock()

    def at(self, count: int) -> None:
        self._count = count
        now = self._clock()
        if now - self._told >= EVERY_SECONDS:
            self._told = now
            self._say(now)

    def end(self) -> None:
        self._say(self._clock(), ended=True)

    def _say(self, now: float, *, ended: bool = False) -> None:
        if self._to is None:
            return
        rate = (self._count - self._start) / max(now - self._began, 1e-6)
        words = f"{self._place}: {self._count:,}"
        if self._total and not ended:
            words += f" of {self._total:,} ({100 * self._count // self._total}%)"
        words += f", {rate:,.0f} a second"
        if self._total and not ended and rate > 0:
            words += f", {max(0, self._total - self._count) / rate:,.0f} s left"
        self._to.write(words + (", done" if ended else "") + "\n")
        self._to.flush()
