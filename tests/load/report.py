"""What became of a load, window by window."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

BACK_SECONDS = 5.0
COUNTED = ("sent", "answered", "failed", "idle_closed", "resent", "echoes", "echoes_lost", "upgrades_refused")
HEAD = (
    "| window | sent | answered | failed | POSTs twice | POSTs lost | idle closed (sent again) | p50 ms | p99 ms"
    " | worst ms | sockets told | cut | back, worst s |"
)


@dataclass
class Window:
    """What happened between two marks. A request belongs to the window in which it was due.

    `latencies` are milliseconds from when a request was due to its whole answer, so that a stall counts for every
    request it kept waiting; `lag` is the part of the worst of them that the generator itself was late.
    """

    name: str
    sent: int = 0
    answered: int = 0
    failed: int = 0
    idle_closed: int = 0
    resent: int = 0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    worst: float = 0.0
    lag: float = 0.0
    # Numbers of the POSTs: the first, and the one after the last.
    posts: tuple[int, int] = (0, 0)
    # Close codes of sockets, by how many; 1006 is an end without one.
    codes: dict[int, int] = field(default_factory=dict)
    # Seconds from 1012 to the first echo on a new socket.
    back: list[float] = field(default_factory=list)
    away: int = 0
    upgrades_refused: int = 0
    echoes: int = 0
    echoes_lost: int = 0
    # The first failures, in words.
    failures: list[str] = field(default_factory=list)
    # Filled in by the ledger.
    twice: int | None = None
    lost: int | None = None

    @property
    def told(self) -> int:
        """Sockets that were told to come back."""
        return self.codes.get(1012, 0)

    def faults(self) -> list[str]:
        """What must not be, in words, with the first failures of each request or socket; empty where all is well."""
        wrong = {code: count for code, count in self.codes.items() if code != 1012}
        found = {
            f"{self.failed} requests failed": self.failed,
            f"{self.idle_closed} kept connections were closed": self.idle_closed,
            f"{self.twice} POSTs ran twice": self.twice,
            f"{self.lost} answered POSTs are not stored": self.lost,
            f"sockets ended otherwise than told to come back: {wrong}": wrong,
            f"{self.away} sockets never came back": self.away,
            f"a socket was away for {max(self.back, default=0):.1f} s": max(self.back, default=0) > BACK_SECONDS,
            f"{self.upgrades_refused} upgrades were refused": self.upgrades_refused,
            f"{self.echoes_lost} echoes were lost": self.echoes_lost,
        }
        faults = [f"{self.name}: {words}" for words, fault in found.items() if fault]
        return [*faults, *(f"  {failure}" for failure in self.failures)] if faults else []

    def row(self) -> str:
        """Its line of the table."""
        back = f"{max(self.back):.1f}" if self.back else "-"
        once = ["?" if count is None else f"{count}" for count in (self.twice, self.lost)]
        cells = [self.name, f"{self.sent:,}", f"{self.answered:,}", f"{self.failed}", *once]
        cells += [f"{self.idle_closed} ({self.resent})", f"{self.p50:.0f}", f"{self.p99:.0f}", f"{self.worst:.0f}"]
        cells += [f"{self.told}", f"{sum(self.codes.values()) - self.told}", back]
        return f"| {' | '.join(cells)} |"


@dataclass
class Report:
    """A whole run: its windows, the POSTs without an answer, what the generator cost."""

    run: str
    windows: list[Window]
    unanswered: list[int]
    # Share of one core that the generator took.
    cpu: float

    def only(self, names: Sequence[str]) -> list[Window]:
        """The windows of these names; all of them where none is named."""
        return [window for window in self.windows if not names or window.name in names]

    def total(self, names: Sequence[str] = ()) -> Window:
        """Windows as one; its percentiles are those of the worst of them."""
        chosen = self.only(names)
        out = Window("total")
        for name in COUNTED:
            setattr(out, name, sum(getattr(window, name) for window in chosen))
        for name in ("p50", "p95", "p99", "worst", "lag"):
            setattr(out, name, max((getattr(window, name) for window in chosen), default=0.0))
        for name in ("twice", "lost"):
            counts = [getattr(window, name) for window in chosen]
            setattr(out, name, None if None in counts else sum(counts))
        out.codes = dict(sum((Counter(window.codes) for window in chosen), Counter[int]()))
        out.back = [seconds for window in chosen for seconds in window.back]
        out.away = chosen[-1].away if chosen else 0
        return out

    def faults(self, names: Sequence[str] = ()) -> list[str]:
        """What must not be in these windows; see `Window.faults`."""
        return [fault for window in self.only(names) for fault in window.faults()]

    def table(self, names: Sequence[str] = (), beside: Mapping[str, Mapping[str, str]] | None = None) -> str:
        """These windows and their total, for people. `beside` has further columns: title, then cell by window."""
        further = beside or {}
        lines = [f"{HEAD} {' | '.join(further)} |" if further else HEAD]
        lines.append("|---" * (lines[0].count("|") - 1) + "|")
        for window in [*self.only(names), self.total(names)]:
            cells = [column.get(window.name, "") for column in further.values()]
            lines.append(f"{window.row()} {' | '.join(cells)} |" if cells else window.row())
        lag = max(self.windows, key=lambda window: window.lag)
        cost = f"The generator took {self.cpu:.0%} of a core, and was itself late by {lag.lag:.0f} ms at most."
        return "\n".join([*lines, "", cost])

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The report that `to_json` wrote."""
        read: dict[str, Any] = json.loads(text)
        windows = []
        for window in read.pop("windows"):
            window["codes"] = {int(code): count for code, count in window["codes"].items()}
            first, end = window["posts"]
            windows.append(Window(**{**window, "posts": (first, end)}))
        return cls(windows=windows, **read)
