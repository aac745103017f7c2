"""Names that POST makes, as "The 2^120 Ways to Ensure Unique Identifiers" describes them: 8 characters of time and 12
of chance, which sort as they were made; within one millisecond the chance counts up."""

from __future__ import annotations

import secrets
import threading
import time

ALPHABET = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
_lock = threading.Lock()
_last = [0, 0]


def push_id() -> str:
    with _lock:
        now = max(time.time_ns() // 1_000_000, _last[0])
        _last[1] = (_last[1] + 1) % 2**72 if now == _last[0] else secrets.randbits(72)
        _last[0] = now
        return _written(now, 8) + _written(_last[1], 12)


def _written(number: int, digits: int) -> str:
    return "".join(ALPHABET[number >> 6 * place & 63] for place in reversed(range(digits)))
