"""A control plane as any client sees it: over HTTP, with a bearer, and with nothing of its settings."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from webapp.failures import Failure
from webapp.redaction import Secret

SECONDS = 15.0
# A server that asks for patience (429) is given this much of it, in all, for one call.
MOST_PATIENCE_SECONDS = 90.0


class ServerUnreachable(Failure):
    code = "SERVER_UNREACHABLE"


class ServerNonsense(Failure):
    code = "SERVER_NONSENSE"


@dataclass(frozen=True)
class Answer:
    """`code` is the error's where it is one, `data` what a success brings; `at` is the server's clock in seconds."""

    status: int
    code: str = ""
    data: Any = None
    at: float = 0.0

    def __str__(self) -> str:
        return f"{self.status} {self.code}".rstrip()


class Plane:
    """Raises ServerUnreachable, and ServerNonsense for what is not this API."""

    def __init__(self, server: str, token: Secret, *, ca_file: str | None = None) -> None:
        parts = urlsplit(server)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ServerUnreachable(f"{server!r} is no address of a server: https://moorage.example.org")
        self.server = server.rstrip("/").removesuffix("/api/v1")
        self._token = token
        # None is the certificates that the machine trusts.
        self._pool = urllib3.PoolManager(retries=False, timeout=SECONDS, ca_certs=ca_file)

    def call(self, method: str, path: str, body: Any = None, *, bearer: Secret | None = None) -> Answer:
        """`path` below /api/v1. `bearer` instead of the token; an empty one sends none."""
        shown = self._token if bearer is None else bearer
        headers = {"Accept": "application/json"}
        if shown.reveal():
            headers["Authorization"] = f"Bearer {shown.reveal()}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        patience = time.monotonic() + MOST_PATIENCE_SECONDS
        while True:
            answer = self._request(method, f"{self.server}/api/v1{path}", headers, body)
            asked = answer.headers.get("Retry-After", "")
            pause = float(asked) if asked.isdigit() else 1.0
            if answer.status != 429 or time.monotonic() + pause > patience:
                return _answer(f"{method} {path}", answer)
            time.sleep(pause)

    def fetch(self, url: str) -> tuple[int, bytes]:
        """Status and body of any URL, without the bearer."""
        answer = self._request("GET", url, {}, None)
        return answer.status, answer.data

    def _request(self, method: str, url: str, headers: dict[str, str], body: Any) -> urllib3.BaseHTTPResponse:
        sent = None if body is None else json.dumps(body).encode()
        try:
            return self._pool.request(method, url, headers=headers, body=sent, redirect=False)
        except HTTPError as error:
            # Not the whole address: a presigned one opens an object.
            raise ServerUnreachable(f"{method} {url.partition('?')[0]}: {error}") from error


def _answer(what: str, answer: urllib3.BaseHTTPResponse) -> Answer:
    try:
        body = json.loads(answer.data)
        at = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
        if body["success"]:
            return Answer(answer.status, data=body["data"], at=at)
        return Answer(answer.status, code=str(body["error"]["code"]), at=at)
    except (ValueError, TypeError, KeyError) as error:
        words = f"{what} was answered {answer.status} with something that is not this API's. Is it Moorage's address?"
        raise ServerNonsense(words) from error
