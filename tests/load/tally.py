"""Counts while the load runs; becomes the report."""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.load.report import Report, Window

# Of each window: enough to see why, and a broken host does not fill the memory.
FAILURES_KEPT = 10


@dataclass
class Open:
    """A window that still counts."""

    window: Window
    latencies: array[float] = field(default_factory=lambda: array("d"))

    def closed(self) -> Window:
        """The window with its percentiles."""
        ordered = sorted(self.latencies)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            setattr(self.window, name, percentile(ordered, share))
        self.window.worst = ordered[-1] if ordered else 0.0
        return self.window


def percentile(ordered: list[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed (nearest rank); 0 where there are none."""
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)] if ordered else 0.0


class Tally:
    """The windows of one run. `now` is the one that counts."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._began, self._cpu = time.monotonic(), time.process_time()
        self._unanswered: list[int] = []
        self.posts = 0
        self.windows = [Open(Window("before"))]

    @property
    def now(self) -> Open:
        """The window of what happens now."""
        return self.windows[-1]

    def mark(self, name: str) -> None:
        """Begin a window."""
        self.windows.append(Open(Window(name, posts=(self.posts, self.posts))))

    def post(self) -> int:
        """The number of another POST of the window that counts."""
        number, self.posts = self.posts, self.posts + 1
        self.now.window.posts = (self.now.window.posts[0], self.posts)
        return number

    def answered(self, where: Open, milliseconds: float) -> None:
        """A right answer."""
        where.window.answered += 1
        where.latencies.append(milliseconds)

    def failed(self, where: Open, milliseconds: float, words: str, post: int | None) -> None:
        """A request that failed; of a POST with its number."""
        where.window.failed += 1
        where.latencies.append(milliseconds)
        if post is not None:
            self._unanswered.append(post)
        self.say(where, f"{words} (after {milliseconds:.0f} ms)")

    def withdrawn(self, where: Open, post: int | None) -> None:
        """A request that was due and never sent, because the load ended."""
        where.window.sent -= 1
        if post is not None:
            self._unanswered.append(post)

    def say(self, where: Open, words: str) -> None:
        """Keep the words of one failure, while there is room."""
        if len(where.window.failures) < FAILURES_KEPT:
            where.window.failures.append(f"{datetime.now(UTC):%H:%M:%S.%f} {words}")

    def report(self, away: int) -> Report:
        """What became of it; `away` sockets are not back."""
        cpu = (time.process_time() - self._cpu) / (time.monotonic() - self._began)
        self.now.window.away = away
        windows = [each.closed() for each in self.windows]
        return Report(self._run, windows, self._unanswered, cpu)
