"""Documents of other servers (an issuer's keys, a provider's discovery): fetched when wanted, kept for a while."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import orjson

log = logging.getLogger("moorage.auth")

# Seconds: how long a document is not asked for again; how long it does where its server is down; how long a server
# that failed, or that was asked out of turn, is left alone; how long it may take to answer.
FRESH, STALE, PAUSE, TIMEOUT = 300.0, 3600.0, 10.0, 3.0
# A set of keys has a few kilobytes.
LARGEST_BYTES = 256 * 1024

T = TypeVar("T")


class Unreachable(Exception):
    """The server gave no answer that makes sense, and none of its earlier ones is young enough."""


class Fetched(Generic[T]):
    """One document. Whoever finds it too old fetches it; meanwhile the others go on with what there is."""

    def __init__(self, url: str, read: Callable[[Any], T], clock: Callable[[], float] = time.monotonic) -> None:
        """`read` makes of the parsed JSON what is kept; it raises ValueError where it makes no sense."""
        self._url, self._read, self._clock = url, read, clock
        self._kept: tuple[T, float] | None = None
        self._failed_at = self._renewed_at = float("-inf")
        self._lock = threading.Lock()

    @property
    def kept(self) -> T | None:
        """What there is, of whatever age."""
        return self._kept[0] if self._kept else None

    def get(self) -> T:
        """The document. Raises Unreachable."""
        if not self._younger_than(FRESH) and self._lock.acquire(blocking=not self._younger_than(STALE)):
            try:
                if not self._younger_than(FRESH):
                    self._fetch()
            finally:
                self._lock.release()
        return self._usable()

    def renew(self) -> T:
        """The document, fetched although it is young: it lacks something. At most once in PAUSE. Raises Unreachable."""
        with self._lock:
            if self._clock() - self._renewed_at >= PAUSE:
                self._renewed_at = self._clock()
                self._fetch()
        return self._usable()

    def _fetch(self) -> None:
        if self._clock() - self._failed_at < PAUSE:
            return
        try:
            self._kept = self._read(fetch_json(self._url)), self._clock()
        except (Unreachable, ValueError) as failed:
            self._failed_at = self._clock()
            log.warning("a document could not be fetched", extra={"url": self._url, "reason": str(failed)})

    def _younger_than(self, seconds: float) -> bool:
        return self._kept is not None and self._clock() - self._kept[1] < seconds

    def _usable(self) -> T:
        kept = self._kept
        if kept is None or self._clock() - kept[1] >= STALE:
            raise Unreachable(self._url)
        return kept[0]


def fetch_json(url: str) -> Any:
    """What a server says there, parsed. Raises Unreachable, also for another status than 200: nobody is followed."""
    import requests  # noqa: PLC0415 - 0.1 s at the start of every command, and few installations need it
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - see above
    from urllib3.util import Timeout  # noqa: PLC0415 - see above

    end, body = time.monotonic() + TIMEOUT, b""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    limit: Any = Timeout(total=TIMEOUT)  # requests passes it on; its types do not say so
    try:
        with requests.get(url, headers=headers, timeout=limit, allow_redirects=False, stream=True) as answer:
            if answer.status_code != 200:
                raise Unreachable(f"it answered {answer.status_code}")
            # A read has its own time-out each time: a server that drips would keep us for ever.
            while chunk := answer.raw.read1(65536, decode_content=True):
                body += chunk
                if len(body) > LARGEST_BYTES or time.monotonic() > end:
                    raise Unreachable("its answer is too long, or takes too long")
        return orjson.loads(body)
    except (requests.RequestException, HTTPError, OSError, orjson.JSONDecodeError) as error:
        raise Unreachable(type(error).__name__) from error
