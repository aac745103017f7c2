"""The one place that keeps secrets out of logs, errors, traces and audit.

Three nets, from the surest to the widest: values that are known to be secret (`remember`), names that say
secret (`redact`), and shapes that credentials have in free text (`redact_text`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

HIDDEN = "***"

# The contract's words (docs: Secrets), also as the last part of a longer name, whatever its case or separator.
_SECRET_NAME = re.compile(
    r"(?:^|[^a-z0-9])(?:password|passwd|secret|token|api_?key|private_?key|access_?key|credentials?|authorization|cookie)$"
)
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{4,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)([a-z][a-z0-9+.-]*://[^\s:/?#@]+:)(?!PASSWORD@)[^\s@/]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(?i)\b((?:x-amz-(?:signature|credential|security-token)|[a-z_-]*token|[a-z_-]*password)=)[^&\s\"']+"),
     rf"\1{HIDDEN}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), HIDDEN),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.S), HIDDEN),
)  # fmt: skip

# A shorter value would blank ordinary words wherever it happened to occur.
_SHORTEST_REMEMBERED = 8
_remembered: set[str] = set()


class Secret:
    """A value that does not print: `repr`, `str` and formatting give `***`; only `reveal()` gives it away."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __deepcopy__(self, _memo: object) -> Secret:
        return self  # it cannot change, and dataclasses.asdict copies deeply

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled: it would be readable wherever the pickle lands")


def remember(secret: Secret) -> None:
    """From now on this value is replaced wherever it occurs in a text that passes through here."""
    if len(secret) >= _SHORTEST_REMEMBERED:
        _remembered.add(secret.reveal())


def names_a_secret(name: str) -> bool:
    """Does a field's name say that its value is secret (`db_password`, `apiKey`, `X-Auth-Token`)?"""
    return _SECRET_NAME.search(_CAMEL_HUMP.sub("_", name).lower().replace("-", "_")) is not None


def redact_text(text: str) -> str:
    """The same text without remembered secrets and without anything shaped like a credential."""
    for value in _remembered:
        text = text.replace(value, HIDDEN)
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


def redact(value: Any, *, name: str = "") -> Any:
    """A copy of a JSON-like value that is safe to write down.

    Non-empty values under a name that says secret become `***`, at any depth; texts go through `redact_text`.
    """
    if isinstance(value, Mapping):
        return {str(key): redact(item, name=str(key)) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return [redact(item, name=name) for item in value]
    if value is None or value is False or value == "":
        return value
    if isinstance(value, Secret) or names_a_secret(name):
        return HIDDEN
    return value if isinstance(value, bool | int | float) else redact_text(str(value))
