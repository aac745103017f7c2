"""The control plane as its clients see it: envelopes in, data out, refusals as failures with the server's own code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from agent.failures import Refused, Unreachable
from agent.pace import ServerClock, http_date
from agent.redaction import Sensitive
from agent.wire import Answer, Tls, Wire, checked_url


class ControlPlane:
    """`token` is asked before each call, so that a renewed one is used at once; None for calls without a bearer."""

    def __init__(
        self,
        server: str,
        *,
        token: Callable[[], Sensitive] | None = None,
        tls: Tls | None = None,
        clock: ServerClock | None = None,
    ) -> None:
        self.server = checked_url(server)
        self.tls = tls or Tls()
        self._wire = Wire(self.server, self.tls)
        self._token = token
        self._clock = clock

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        seconds: float | None = None,
    ) -> Any:
        """The `data` of the answer. Refused where the server says no, Unreachable where it says nothing sensible."""
        headers = {"Accept": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token().reveal()}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        content = None if body is None else orjson.dumps(body)
        answer = self._wire.exchange(
            method, f"/api/v1{path}", headers=headers, body=content, query=query, seconds=seconds
        )
        if self._clock is not None:
            self._clock.heard(http_date(answer.headers.get("date")))
        return self._opened(answer, f"{method} {path}")

    def _opened(self, answer: Answer, what: str) -> Any:
        try:
            envelope = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            envelope = None
        if not isinstance(envelope, dict):
            envelope = {}
        if 200 <= answer.status < 300 and envelope.get("success") is True:
            return envelope.get("data")
        error = envelope.get("error")
        if isinstance(error, dict) and isinstance(error.get("code"), str):
            words = error.get("message") if isinstance(error.get("message"), str) else "no reason given"
            raise Refused(answer.status, error["code"], f"{words} ({what})", retry_after=retry_after(answer.headers))
        if answer.status >= 400:
            words = f"{self.server} answered {what} with HTTP {answer.status} and no error of the control plane's."
            raise Refused(answer.status, f"HTTP_{answer.status}", words, retry_after=retry_after(answer.headers))
        raise Unreachable(
            f"{self.server} answered {what} with HTTP {answer.status} and nothing that a control plane says."
            " Is this the control plane's address?"
        )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a `Retry-After` header asks for; one that is a date counts from the answer's own `Date`."""
    asked = headers.get("retry-after", "").strip()
    if asked.isdigit():
        return float(asked)
    until, now = http_date(asked), http_date(headers.get("date"))
    return max(0.0, until - now) if until is not None and now is not None else None
