"""Makes the clock of a Python process wrong by WRONG_BY_SECONDS. On PYTHONPATH of a child, never imported by a test.

Instead of libfaketime: that is a Debian package, tests outside the lab install none, and on macOS there is another.
What this does not reach is C code that asks the system itself (OpenSSL, SQLite). Durations stay right, as they do on a
machine whose clock is wrong.
"""

from __future__ import annotations

import datetime as module
import os
import sys
import time

WRONG_BY = float(os.environ.get("WRONG_BY_SECONDS", "0"))
_REAL = module.datetime
_time, _time_ns, _gettime = time.time, time.time_ns, time.clock_gettime
_gmtime, _localtime = time.gmtime, time.localtime


class _Kind(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _REAL)


class WrongDatetime(_REAL, metaclass=_Kind):
    @classmethod
    def now(cls, tz: module.tzinfo | None = None) -> module.datetime:  # type: ignore[override]
        return _REAL.fromtimestamp(time.time(), tz)

    @classmethod
    def utcnow(cls) -> module.datetime:  # type: ignore[override]
        return _REAL.fromtimestamp(time.time(), module.UTC).replace(tzinfo=None)


def _wrong_gettime(clock: int) -> float:
    return _gettime(clock) + (WRONG_BY if clock == time.CLOCK_REALTIME else 0)


if WRONG_BY:
    time.time = lambda: _time() + WRONG_BY
    time.time_ns = lambda: _time_ns() + int(WRONG_BY * 1e9)
    time.gmtime = lambda seconds=None: _gmtime(time.time() if seconds is None else seconds)
    time.localtime = lambda seconds=None: _localtime(time.time() if seconds is None else seconds)
    time.clock_gettime = _wrong_gettime
    module.datetime = WrongDatetime  # type: ignore[misc]
    print(f"this clock is wrong by {WRONG_BY:+.0f} s: {module.datetime.now(module.UTC):%FT%TZ}", file=sys.stderr)
