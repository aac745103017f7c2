"""Keeps secrets out of logs, results and the journal: known values, fields that say secret, shapes of credentials."""

from __future__ import annotations

import re
import unicodedata
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

HIDDEN = "***"

# The contract's words, also as the end of a longer name.
_WORDS = (
    "password", "passwd", "secret", "token", "apikey", "privatekey", "accesskey", "credential", "credentials",
    "authorization", "cookie",
)  # fmt: skip
# Hangul's fillers: letters to Unicode, nothing to the eye.
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0")
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{4,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(?i)(PVEAPIToken=[^\s=]+=)[^\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)([a-z][a-z0-9+.-]*://[^\s:/?#@]+:)[^\s@/]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"(?i)\b((?:x-amz-(?:signature|credential|security-token)|[a-z_-]*token|[a-z_-]*password)=)[^&\s\"']+"),
     rf"\1{HIDDEN}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), HIDDEN),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.S), HIDDEN),
)  # fmt: skip

# A shorter value would blank ordinary words wherever it happened to occur.
_SHORTEST_REMEMBERED = 6
# An agent runs for months and opens secrets all the time; the ones it met last are the ones that can still turn up.
_MOST_REMEMBERED = 1000
_remembered: OrderedDict[str, None] = OrderedDict()


class Sensitive:
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
        return isinstance(other, Sensitive) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a Sensitive is not pickled: it would be readable wherever the pickle lands")


def remember(secret: Sensitive) -> Sensitive:
    """From now on this value is replaced wherever it occurs in what passes through here; gives it back."""
    value = secret.reveal()
    if len(value) >= _SHORTEST_REMEMBERED:
        _remembered[value] = None
        _remembered.move_to_end(value)
        while len(_remembered) > _MOST_REMEMBERED:
            _remembered.popitem(last=False)
    return secret


def names_a_secret(name: str) -> bool:
    """Does a field's name say that its value is secret (`db_password`, `apiKey`, `X-Auth-Token`)?

    The server's own rule: only the letters and digits count, not case, width, accents or what stands between them.
    """
    letters = (one for one in unicodedata.normalize("NFKD", name) if one.isalnum() and one not in _BLANK_LETTERS)
    return "".join(letters).casefold().endswith(_WORDS)


def without_known(text: str) -> str:
    """The text without the remembered secrets, otherwise as it was."""
    for value in tuple(_remembered):
        if value in text:
            text = text.replace(value, HIDDEN)
    return text


def redact_text(text: str) -> str:
    """The text without remembered secrets and without anything shaped like a credential."""
    text = without_known(text)
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


def redact(value: Any, *, name: str = "") -> Any:
    """A copy of a JSON-like value that is safe to write down: values under names that say secret become `***`."""
    if isinstance(value, Mapping):
        return {str(key): redact(item, name=str(key)) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return [redact(item, name=name) for item in value]
    if value is None or value is False or value == "":
        return value
    if isinstance(value, Sensitive) or names_a_secret(name):
        return HIDDEN
    return value if isinstance(value, bool | int | float) else redact_text(str(value))


def scrub(value: Any) -> Any:
    """A copy of a command's result without remembered secrets; ordinary fields stay as the product named them."""
    if isinstance(value, Mapping):
        return {without_known(str(key)): scrub(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(item) for item in value]
    return without_known(value) if isinstance(value, str) else value
