"""What the text of a record says, exactly: numbers of any length stay what they are."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

# orjson reads integers up to 64 bits exactly and longer ones as the nearest float.
_LONG_NUMBER = re.compile(rb"[0-9]{19}")


def read_json(raw: bytes, value: Any = None) -> Any:
    """The value of a JSON text; `value` is what a fast reader made of it, where one did.

    Raises ValueError in words for what cannot be read: no JSON, no UTF-8, a number that no float is.
    """
    if not _LONG_NUMBER.search(raw):
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
