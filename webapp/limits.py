"""How many requests a minute somebody may make: counted in this process, per token, tenant and address.

With N processes answering HTTP the bound is N times the limit (docs/reference/limits.md); what must not be guessed
(passwords, pairing codes) is counted in PostgreSQL instead, by the room `auth`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from webapp.errors import MoorageError

WINDOW_SECONDS = 60.0
# Keys of a flood are forgotten beyond this many: 100 bytes each.
REMEMBERED = 50_000


@dataclass(frozen=True)
class Spent:
    """What is left in the window, and the seconds until it begins anew."""

    limit: int
    remaining: int
    reset: int


class RateLimited(MoorageError):
    status, code, message = 429, "RATE_LIMITED", "Too many requests. Retry-After says when to come back, in seconds."

    def __init__(self, spent: Spent, message: str | None = None) -> None:
        super().__init__(message)
        self.spent = spent

    def headers(self) -> dict[str, str]:
        seconds = str(max(1, self.spent.reset))
        return {
            "Retry-After": seconds,
            "RateLimit-Limit": str(self.spent.limit),
            "RateLimit-Remaining": str(self.spent.remaining),
            "RateLimit-Reset": seconds,
        }


class Windows:
    """A window of a minute for each key, from that key's first request in it."""

    def __init__(self, limit: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`limit`: requests a window; 0 means any number."""
        self.limit = limit
        self._clock = clock
        self._windows: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def spend(self, key: str) -> None:
        """Raises RateLimited where the key has spent its window."""
        if not self.limit:
            return
        now = self._clock()
        with self._lock:
            window = self._windows.get(key)
            if window is None or now >= window[0] + WINDOW_SECONDS:
                if len(self._windows) >= REMEMBERED:
                    self._forget(now)
                self._windows[key] = [now, 1]
                return
            window[1] += 1
            over = window[1] > self.limit
            reset = window[0] + WINDOW_SECONDS - now
        if over:
            raise RateLimited(Spent(self.limit, 0, int(reset) + 1))

    def _forget(self, now: float) -> None:
        self._windows = {key: window for key, window in self._windows.items() if now < window[0] + WINDOW_SECONDS}
        while len(self._windows) >= REMEMBERED:  # all of them are young: the oldest make room
            self._windows.pop(next(iter(self._windows)))


@dataclass(frozen=True)
class Limits:
    """The windows of this process."""

    token: Windows
    tenant: Windows
    address: Windows

    @classmethod
    def of(cls, token: int, tenant: int, address: int) -> Limits:
        """Requests a minute for each token, each tenant, and each address whose requests carry no valid token."""
        return cls(Windows(token), Windows(tenant), Windows(address))
