"""The kinds of variables that Settings is made of: each turns text into a value, or says what it wants.

A parser takes the variable's text and returns the value; it raises ValueError whose message completes the
sentence "NAME must be …". A message never repeats the text, which may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from webapp.redaction import Secret


@dataclass(frozen=True)
class Variable:
    """What `env.example` and a refusal say about a variable.

    `default` is the text used where the variable is absent, None where it has no default; `optional` ones may
    then stay unset. `kept` says where a secret lives (empty for what is no secret).
    """

    parse: Callable[[str], Any]
    meaning: str
    default: str | None = None
    optional: bool = False
    kept: str = ""


@dataclass(frozen=True)
class DatabaseUrl:
    """Where a database is and as whom to enter it. Does not print its password."""

    user: str
    password: Secret
    host: str
    port: int
    name: str
    options: tuple[tuple[str, str], ...] = ()

    def render(self, scheme: str = "postgresql", *, database: str | None = None) -> str:
        """The URL with its password, for libpq (`postgresql`) or SQLAlchemy (`postgresql+psycopg2`)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        who = f"{quote(self.user, safe='')}:{quote(self.password.reveal(), safe='')}"
        tail = f"?{urlencode(self.options)}" if self.options else ""
        return f"{scheme}://{who}@{host}:{self.port}/{quote(database or self.name, safe='')}{tail}"


def database_url(text: str) -> DatabaseUrl:
    problem = ValueError("a URL postgresql://USER:PASSWORD@HOST:PORT/DATABASE (with ?sslmode=require where TLS is)")
    try:
        parts = urlsplit(text)
        port = parts.port or 5432
    except ValueError:
        raise problem from None
    name = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in ("postgresql", "postgres") or not (parts.username and parts.password and parts.hostname):
        raise problem
    if not name or "/" in name or parts.fragment:
        raise problem
    options = tuple(parse_qsl(parts.query, keep_blank_values=True))
    return DatabaseUrl(unquote(parts.username), Secret(unquote(parts.password)), parts.hostname, port, name, options)


@dataclass(frozen=True)
class Endpoint:
    """A server's address without a path: scheme, host and port."""

    secure: bool
    netloc: str

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.netloc}"


def endpoint(text: str) -> Endpoint:
    problem = ValueError("an address http(s)://HOST[:PORT] with no path, user or query")
    parts = _web_address(text, problem)
    if parts.username or parts.query or parts.fragment:
        raise problem
    if parts.path not in ("", "/") or not re.fullmatch(r"[A-Za-z0-9.:_-]+", parts.hostname or ""):
        raise problem
    return Endpoint(parts.scheme == "https", parts.netloc)


def _web_address(text: str, problem: ValueError) -> SplitResult:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise problem from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise problem
    return parts


def url(text: str) -> str:
    """As it was given: issuers are compared letter by letter."""
    problem = ValueError("an address http(s)://HOST[:PORT][/PATH] with no user, query or blank at an end")
    if "@" in _web_address(text, problem).netloc:
        raise problem
    if not re.fullmatch(r"[\x21-\x7e]{1,500}", text) or "?" in text or "#" in text:
        raise problem
    return text


def moment(text: str) -> float:
    """Seconds since 1970."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text):
        raise ValueError("a moment in UTC such as 2026-11-28T05:00:00Z")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise ValueError("a moment in UTC such as 2026-11-28T05:00:00Z, which exists") from None


def integer(low: int, high: int, unit: str = "") -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}{unit and ' ' + unit}")
        return int(text)

    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text) or not low <= float(text) <= high:
            raise ValueError(f"a number of seconds from {low:g} to {high:g}")
        return float(text)

    return parse


def choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError("one of: " + ", ".join(allowed))
        return text

    return parse


def boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


def matching(pattern: str, looks_like: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(looks_like)
        return text

    return parse


def secret(at_least: int, at_most: int = 512) -> Callable[[str], Secret]:
    def parse(text: str) -> Secret:
        if not at_least <= len(text) <= at_most or text != text.strip() or not text.isprintable():
            raise ValueError(f"{at_least} to {at_most} printable characters with no blank at either end")
        return Secret(text)

    return parse


def absolute_path(text: str) -> Path:
    if not text.startswith("/") or not text.isprintable():
        raise ValueError("an absolute path")
    return Path(text)


# The rules of S3 itself: lower case, no dots (a dot breaks TLS with virtual hosts), 3 to 63 characters.
bucket = matching(r"[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]", "a bucket's name: 3 to 63 of a-z, 0-9 and inner hyphens")
region = matching(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", "a region's name: a-z, 0-9 and inner hyphens (us-east-1)")
access_key = matching(r"[A-Za-z0-9_.-]{3,128}", "an access key's id: 3 to 128 of A-Z a-z 0-9 . _ -")
