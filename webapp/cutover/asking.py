"""GETs of a Realtime Database's REST protocol: bounded in time and size, tried again, and never showing the secret."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from typing import IO
from urllib.parse import urlencode

import urllib3

from webapp.cutover.sources import SourceGone, SourceRefused, SourceUnreadable
from webapp.redaction import Secret

# A page is a few MB; RTDB itself gives up a read after 15 minutes, and nobody waits that long here.
CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
# 0.25 + 0.5 + 1 + 2 + 4 s between six attempts: longer than a restart of whatever stands between.
ATTEMPTS, FIRST_PAUSE_SECONDS = 6, 0.25
_PIECE = 256 * 1024
# In memory up to here, beyond in a file.
_SPOOLED = 4 * 1024 * 1024


class TooLarge(Exception):
    """The answer is larger than was asked for at most."""


class NotIndexed(Exception):
    """RTDB orders by a field only where its rules have an index on it."""


class Asking:
    """`pause`: how to wait, in seconds."""

    def __init__(
        self, url: str, secret: Secret | None, *, read_seconds: float = READ_SECONDS,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds)
        self._http = urllib3.PoolManager(timeout=timeout, retries=False, maxsize=4)
        self._url, self._secret, self._pause, self._read_seconds = url.rstrip("/"), secret, pause, read_seconds

    def again(self) -> Asking:
        """The same with connections of its own."""
        return Asking(self._url, self._secret, read_seconds=self._read_seconds, pause=self._pause)

    def get(self, path: str, query: Mapping[str, str] | None = None, *, most: int | None = None) -> IO[bytes]:
        """The answer's body, from its beginning; whoever asks closes it.

        `path`: as records' `path_of` makes it. `most`: bytes. Raises SourceGone after several attempts, SourceRefused,
        SourceUnreadable, TooLarge, NotIndexed.
        """
        wait = FIRST_PAUSE_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._once(path, query or {}, most)
            except (urllib3.exceptions.HTTPError, _Busy) as error:
                if attempt == ATTEMPTS:
                    raise SourceGone(
                        f"The source does not answer at /{path} ({_named(error)}), {ATTEMPTS} times in a row. "
                        "What was carried over stays; run it again once it answers."
                    ) from None  # the library's own words have the URL, and so the secret
            self._pause(wait)
            wait *= 2
        raise AssertionError("the last attempt returns or raises")

    def _once(self, path: str, query: Mapping[str, str], most: int | None) -> IO[bytes]:
        asked = {**query, **({"auth": self._secret.reveal()} if self._secret else {})}
        answer = self._http.request("GET", f"{self._url}/{path}.json?{urlencode(asked)}", preload_content=False)
        try:
            if answer.status != 200:
                raise _refusal(answer.status, answer.read(2_000), path)
            body = tempfile.SpooledTemporaryFile(_SPOOLED, prefix="moorage-cutover-")  # noqa: SIM115 - the caller's
            size = 0
            for piece in answer.stream(_PIECE):
                size += len(piece)
                if most is not None and size > most:
                    answer.close()
                    body.close()
                    raise TooLarge
                body.write(piece)
            body.seek(0)
            return body
        finally:
            answer.release_conn()


class _Busy(Exception):
    """The server says that it cannot now."""


def _refusal(status: int, said: bytes, path: str) -> Exception:
    words = said.decode("utf-8", "replace").strip()[:200]
    if status in (401, 403):
        return SourceRefused(f"The source refuses to be read at /{path} ({status}): is RTDB_SECRET the right one?")
    if status == 400 and "ndex" in words:
        return NotIndexed(path)
    if status == 429 or status >= 500:
        return _Busy(str(status))
    return SourceUnreadable(f"The source answers /{path} with {status}: {words}")


def _named(error: Exception) -> str:
    return f"status {error}" if isinstance(error, _Busy) else type(error).__name__
