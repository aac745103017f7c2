"""One HTTP exchange with bounds: how long in all, how large an answer, whose certificate."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from agent import VERSION
from agent.failures import Failure, Unreachable

MEBIBYTE = 1 << 20
CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Tls:
    """Whose certificate is believed: the system's authorities, those of `ca_file`, or one certificate by `fingerprint`
    (SHA-256 in hex, colons allowed), which takes the place of the chain and the name."""

    ca_file: Path | None = None
    fingerprint: str | None = None

    def context(self) -> ssl.SSLContext:
        """For sockets; a fingerprint is not for these."""
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise Failure("CA_FILE_UNREADABLE", f"{self.ca_file} holds no certificates that can be read ({error})."
                          " It must be a PEM file of the authority that signed the server's certificate.") from error


@dataclass(frozen=True)
class Answer:
    """`headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def checked_url(url: str, *, what: str = "--server") -> str:
    """The URL without its last slash; Failure INVALID_URL unless it is http or https with a host and no credentials."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise Failure("INVALID_URL", f"{what} must look like https://moorage.example.org, and it is {url!r}.")
    return url.rstrip("/")


def pool(tls: Tls, *, connections: int = 4) -> urllib3.PoolManager:
    """Connections that believe what `tls` says. Nothing is retried and no redirect followed here: callers decide."""
    if tls.fingerprint:
        return urllib3.PoolManager(
            num_pools=4, maxsize=connections, retries=False, cert_reqs="CERT_NONE", assert_fingerprint=tls.fingerprint
        )
    return urllib3.PoolManager(num_pools=4, maxsize=connections, retries=False, ssl_context=tls.context())


class Wire:
    """A server that is spoken to by HTTP. Safe to share between threads."""

    def __init__(self, base: str, tls: Tls, *, seconds: float = 30.0, most: int = MEBIBYTE) -> None:
        self.base = base
        self._pool = pool(tls)
        self._seconds = seconds
        self._most = most

    def exchange(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        query: Mapping[str, Any] | None = None,
        seconds: float | None = None,
    ) -> Answer:
        """The answer, whatever its status. Unreachable where there is none within `seconds` and the bound in bytes."""
        url = f"{self.base}{path}" + (f"?{urlencode(query)}" if query else "")
        end = time.monotonic() + (seconds or self._seconds)
        limits = urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds or self._seconds)
        sent = {"User-Agent": f"moorage-agent/{VERSION}", "Accept-Encoding": "identity", **(headers or {})}
        try:
            got = self._pool.request(
                method, url, body=body, headers=sent, timeout=limits, redirect=False, preload_content=False
            )
            try:
                content = self._read(got, end)
            except BaseException:
                got.close()
                raise
            got.release_conn()
        except (HTTPError, OSError) as error:
            raise Unreachable(f"{method} {self.base}{path} got no answer: {reason(error)}") from error
        return Answer(got.status, {name.lower(): value for name, value in got.headers.items()}, content)

    def _read(self, got: urllib3.BaseHTTPResponse, end: float) -> bytes:
        parts, size = [], 0
        while part := got.read1(64 * 1024):
            parts.append(part)
            size += len(part)
            if size > self._most:
                raise Unreachable(f"{self.base} answered with more than {self._most} bytes, which is not read.")
            if time.monotonic() > end:
                raise Unreachable(f"{self.base} was still answering when the time was up.")
        return b"".join(parts)


def reason(error: BaseException) -> str:
    """The words of a network error, without the address, which the caller names, and without a query."""
    inner = getattr(error, "reason", None) or error
    words = str(inner.args[-1] if inner.args else inner)
    return f"{type(inner).__name__} ({words})"
