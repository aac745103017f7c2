"""What the text of a record says, exactly: numbers of any length stay what they are."""

from __future__ import annotations

import json
from typing import Any

import orjson

# orjson reads integers up to 64 bits exactly and longer ones as the nearest float.
_LONG = b"0" * 19
# By translation, which takes a tenth of what a pattern does.
_DIGITS = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))


def has_long_number(raw: bytes) -> bool:
    """Whether there are so many digits in a row, in a number or a text, that orjson may read another number."""
    return _LONG in raw.translate(_DIGITS)


def read_json(raw: bytes, value: Any = None) -> Any:
    """The value of a JSON text; `value` is what a fast reader made of it, where one did.

    Raises ValueError in words for what cannot be read: no JSON, no UTF-8, a number that no float is.
    """
    if not has_long_number(raw):
        if value is not None:
            return value
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ValueError(str(error)) from error
    try:
        return json.loads(raw.decode(), parse_constant=_refused)
    except RecursionError:
        raise ValueError("nested too deeply to be read") from None


def write_json(value: Any) -> bytes:
    """The value as compact JSON; keys as they come. Raises ValueError where a text in it cannot be written."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # an integer beyond 64 bits, or a text that is no Unicode
        try:
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        except RecursionError:
            raise ValueError("nested too deeply to be written") from None


def _refused(word: str) -> Any:
    raise ValueError(f"{word} is no number of JSON")
