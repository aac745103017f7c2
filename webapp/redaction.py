"""The one place that keeps secrets out of logs, errors, traces, audit rows and metrics.

Three nets, from the surest to the widest: values that are known to be secret (`remember`), names that say
secret (`redact`), and shapes that credentials have in free text (`redact_text`).
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

from webapp.credential_shapes import HIDDEN, PLAIN, SHAPES

# The contract's words (docs: Secrets), and the two headers that carry them.
_WORDS = (
    "password", "passwd", "secret", "token", "apikey", "privatekey", "accesskey", "credential", "credentials",
    "authorization", "cookie",
)  # fmt: skip
# Further fields of ours that give something away. They are hidden, but a record may be called so.
_OURS = (*_WORDS, "pairingcode", "pairingbundle", "pairinguri", "pairingurl", "totp", "recoverycode", "passwordhash")

# Hangul's fillers: letters to Unicode, nothing to the eye.
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0")
_LONGEST_KEPT = 100
# A shorter value would blank ordinary words wherever it happened to occur.
_SHORTEST_REMEMBERED = 8
_remembered: dict[str, None] = {}


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
    """From now on this value is replaced wherever it occurs in a text that passes through here, also as it is written
    in a URL or in JSON."""
    value = secret.reveal()
    if len(value) >= _SHORTEST_REMEMBERED:
        written = {value, quote(value, safe=""), quote_plus(value), quote(value), json.dumps(value)[1:-1]}
        for one in sorted(written, key=len, reverse=True):
            _remembered[one] = None


def names_a_secret(name: str) -> bool:
    """Does a field's name say that its value is secret (`db_password`, `apiKey`, `X-Auth-Token`)?

    Only the letters and digits count, and of letters only which they are: not case, width, accents, what stands
    between them, or what cannot be seen.
    """
    return _ends(name, _WORDS)


def _ends(name: str, words: tuple[str, ...]) -> bool:
    # Names come from clients: what is kept must stay small.
    return (_letters_of if len(name) <= _LONGEST_KEPT else _letters_of.__wrapped__)(name).endswith(words)


@lru_cache(maxsize=4096)
def _letters_of(name: str) -> str:
    letters = (one for one in unicodedata.normalize("NFKD", name) if one.isalnum() and one not in _BLANK_LETTERS)
    return "".join(letters).casefold()


def redact_text(text: str) -> str:
    """The same text without remembered secrets and without anything shaped like a credential."""
    for value in tuple(_remembered):
        if value in text:
            text = text.replace(value, HIDDEN)
    if PLAIN.fullmatch(text):
        return text
    for shape, replacement in SHAPES:
        text = shape.sub(replacement, text)
    return text


def redact(value: Any, *, name: str = "") -> Any:
    """A copy of a JSON-like value that is safe to write down.

    Non-empty values under a name that says secret become `***`, at any depth; texts go through `redact_text`.
    """
    if hasattr(value, "_asdict"):  # a row of a table is a sequence, but one with names
        value = value._asdict()
    if isinstance(value, Mapping):
        return {shown: redact(item, name=said) for said, shown, item in _named(value)}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return [redact(item, name=name) for item in value]
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, Secret) or _ends(name, _OURS):
        return HIDDEN
    return value if isinstance(value, int | float) else redact_text(str(value))


def redact_messages(messages: Any, *, name: str = "") -> Any:
    """A copy of what a schema says of its fields (`{"lease_token": ["Missing data…"]}`), also of those whose names say
    secret: a list of texts are our own words of the field, while anything else would be a value, and is hidden."""
    if isinstance(messages, Mapping):
        return {shown: redact_messages(item, name=said) for said, shown, item in _named(messages)}
    if isinstance(messages, list) and all(isinstance(one, str) for one in messages):
        return [redact_text(one) for one in messages]
    return redact(messages, name=name)


def _named(value: Mapping[Any, Any]) -> list[tuple[str, str, Any]]:
    """Each item with the name that decides on it and the name to show, for a name may hold a secret, too."""
    named = []
    for key, item in value.items():
        shown = redact_text(str(key))
        named.append((shown if _ends(shown, _OURS) else str(key), shown, item))
    return named
