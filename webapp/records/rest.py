"""A Realtime Database over its REST protocol: bounded in time, and conditional where it writes.

Source: https://firebase.google.com/docs/reference/rest/database and "Conditional Requests" in the guide on saving data.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from webapp.errors import ServiceUnavailable
from webapp.redaction import Secret

if TYPE_CHECKING:
    import requests

log = logging.getLogger("moorage.records")

# To be connected within; between two pieces of an answer; for all of it. A request holds a connection to PostgreSQL
# meanwhile, whose own statements have 30 s.
CONNECT_SECONDS, READ_SECONDS, WHOLE_SECONDS = 3.0, 10.0, 25.0
# The API's threads, of which each has one request at a time.
CONNECTIONS = 64
NULL_ETAG = "null_etag"
_DONE, _STALE = (200, 204), 412


class RecordsUnavailable(ServiceUnavailable):
    message = "The store that records are in does not answer just now. Try again shortly."


@dataclass(frozen=True)
class Tagged:
    """What is at a place, and the tag of exactly that."""

    value: Any
    etag: str


@dataclass(frozen=True)
class _Answer:
    status: int
    etag: str | None
    content: bytes


class Rest:
    """`url` is scheme, host and port. Shared by all threads; connects when first used. Each method raises
    RecordsUnavailable: for what cannot be reached, for what takes too long, and for what makes no sense."""

    def __init__(self, url: str, secret: Secret) -> None:
        self._url, self._secret = url, secret
        self._session: requests.Session | None = None

    def get(self, path: str) -> Any:
        """What is at a path (paths.path_of), parsed."""
        return _parsed(self._ask("GET", path))

    def tagged(self, path: str) -> Tagged:
        """The same, with its tag."""
        answer = self._ask("GET", path, headers={"X-Firebase-ETag": "true"})
        if answer.etag is None:
            raise _useless("it gave no ETag")
        return Tagged(_parsed(answer), answer.etag)

    def put(self, path: str, value: Any, *, etag: str | None = None) -> bool:
        """Write; with a tag only where that is still what is there. Whether it was done."""
        return self._write("PUT", path, orjson.dumps(value), etag)

    def delete(self, path: str, *, etag: str) -> bool:
        """The same for deleting."""
        return self._write("DELETE", path, None, etag)

    def _write(self, method: str, path: str, body: bytes | None, etag: str | None) -> bool:
        headers = {"if-match": etag} if etag is not None else {}
        # Silent: else all that was written would come back.
        return self._ask(method, path, body=body, headers=headers, print="silent").status != _STALE

    def _ask(
        self, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str] | None = None, **query: str
    ) -> _Answer:
        import requests  # noqa: PLC0415 - 0.1 s at the start of every command, and few installations need it

        began = time.monotonic()
        try:
            # Nothing is sent twice, for a write may have happened though its answer was lost.
            with self._opened().request(
                method, f"{self._url}/{path}.json", params={"auth": self._secret.reveal(), **query}, data=body,
                headers=headers, timeout=(CONNECT_SECONDS, READ_SECONDS), allow_redirects=False, stream=True,
            ) as answer:  # fmt: skip
                content = b""
                for chunk in answer.iter_content(1 << 16):
                    content += chunk
                    if time.monotonic() - began > WHOLE_SECONDS:
                        raise _useless("it takes too long")
        except requests.RequestException as error:
            # Its own text has the URL, and so the secret.
            raise _useless(type(error).__name__) from None
        conditional = headers is not None and "if-match" in headers
        if answer.status_code not in _DONE and not (answer.status_code == _STALE and conditional):
            raise _useless(f"it answered {answer.status_code}")
        return _Answer(answer.status_code, answer.headers.get("ETag"), content)

    def _opened(self) -> requests.Session:
        from requests import Session  # noqa: PLC0415 - see above
        from requests.adapters import HTTPAdapter  # noqa: PLC0415 - see above

        if self._session is None:
            session = Session()
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))
            self._session = session
        return self._session


def _useless(reason: str) -> RecordsUnavailable:
    log.warning("the Realtime Database is of no use", extra={"reason": reason})
    return RecordsUnavailable()


def _parsed(answer: _Answer) -> Any:
    try:
        return orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        raise _useless("it gave no JSON") from None
