"""Asks one HTTP(S) question of a given address, as a client outside would, and says what was wrong with the answer."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """What came back: status, headers in lower case, the first 64 KiB of the body."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(url: str, address: str, ca: str, headers: dict[str, str], seconds: float) -> Answer:
    """One GET to a URL, sent to an address of our choosing; name and certificate are the URL's.

    Args:
        address: IP address or name to connect to; '' resolves the URL's own host.
        ca: PEM of a root to trust besides the system's; '' for none.
        seconds: time-out of each step.

    Raises:
        OSError: no connection, or a certificate that does not fit.
        http.client.HTTPException: no HTTP.
    """
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    raw = socket.create_connection((address or host, port), timeout=seconds)
    try:
        if secure:
            context = ssl.create_default_context()
            if ca:
                context.load_verify_locations(cadata=ca)
            raw = context.wrap_socket(raw, server_hostname=host)
        connection = http.client.HTTPConnection(host, port, timeout=seconds)
        connection.sock = raw
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        netloc = host if parts.port is None else f"{host}:{port}"
        connection.request("GET", path, headers={"Host": netloc, "User-Agent": "moorage-probe", **headers})
        response = connection.getresponse()
        return Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read(65536)
        )
    finally:
        raw.close()


def complaints(check: dict[str, Any], answer: Answer) -> list[str]:
    """How an answer differs from what a check expects (`status`, `json`: path to value, `contains`). Pure."""
    out = []
    wanted = check.get("status", 200)
    if answer.status != int(wanted):
        out.append(f"status {answer.status}, expected {wanted}")
    text = answer.body.decode(errors="replace")
    if check.get("contains") and check["contains"] not in text:
        out.append(f"the body does not contain {check['contains']!r}")
    for path, value in (check.get("json") or {}).items():
        try:
            found: Any = json.loads(text)
            for key in path.split("."):
                found = found[key]
        except (ValueError, KeyError, TypeError):
            out.append(f"no {path} in the answer")
            continue
        if str(value) not in str(found) if check.get("json_contains") else str(found) != str(value):
            out.append(f"{path} is {found!r}, expected {value!r}")
    if out:
        out.append(f"body begins: {text[:200]!r}")
    return out


def probe(check: dict[str, Any], address: str, ca: str, seconds: float, each: float = 5.0) -> dict[str, Any]:
    """Ask until the answer is right or the time is up.

    Returns:
        ``{url, ok, tries, milliseconds, problem}``; milliseconds are those of the last try.
    """
    end, tries = time.monotonic() + seconds, 0
    while True:
        tries += 1
        begun = time.monotonic()
        try:
            answer = ask(check["url"], check.get("address", address), ca, check.get("headers") or {}, each)
            problem = "; ".join(complaints(check, answer))
        except (OSError, http.client.HTTPException) as error:
            problem = f"{type(error).__name__}: {error}"
        took = round((time.monotonic() - begun) * 1000)
        if not problem or time.monotonic() > end:
            return {"url": check["url"], "ok": not problem, "tries": tries, "milliseconds": took, "problem": problem}
        time.sleep(min(0.5, max(0.0, end - time.monotonic())))
