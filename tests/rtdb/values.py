"""What a Realtime Database makes of JSON: what it keeps, what it shows, and in which order it has things.

By Firebase's public documentation ("Structure your database", "Retrieving data" of the REST guide, "Best Practices:
Arrays in Firebase"); where arrays begin and end, by the rule of its own clients.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from typing import Any

import orjson

LONGEST_KEY_BYTES = 768
DEEPEST = 32
LARGEST_TEXT_BYTES = 10 * 1024 * 1024
NULL_ETAG = "null_etag"

_FORBIDDEN = re.compile(r"[.$#\[\]/\x00-\x1f\x7f]")
_INTEGER = re.compile(r"0|[1-9][0-9]{0,9}")
_INTEGER_KEY = re.compile(r"-?(0*)[0-9]{1,10}")
_LARGEST_INT32 = 2**31 - 1


class Refused(Exception):
    """What cannot be written, or asked. Its text goes into the answer's `error`."""


def refuse_key(key: str) -> None:
    """Raises Refused."""
    if not key or _FORBIDDEN.search(key):
        raise Refused("Invalid data; couldn't parse key beginning at 0. Key contains forbidden characters or is empty")
    if len(key.encode()) > LONGEST_KEY_BYTES:
        raise Refused(f"Invalid data; key is larger than {LONGEST_KEY_BYTES} bytes")


def kept(value: Any, depth: int = 0) -> Any:
    """The inner form: arrays are objects, null and what is empty are not there. None: nothing at all.

    Raises Refused for a key that cannot be, for what is nested too deep, and for a text that is too long.
    """
    if isinstance(value, list):
        value = {str(index): item for index, item in enumerate(value)}
    if isinstance(value, dict):
        if depth > DEEPEST:
            raise Refused(f"Invalid data; data is nested deeper than {DEEPEST} levels")
        found = {}
        for key, item in value.items():
            refuse_key(key)
            if (inner := kept(item, depth + 1)) is not None:
                found[key] = inner
        return found or None
    if isinstance(value, str) and len(value.encode()) > LARGEST_TEXT_BYTES:
        raise Refused("Invalid data; a string is larger than 10 MB")
    if isinstance(value, float | int) and not isinstance(value, bool):
        return _number(value)
    return value


def _number(value: float) -> float | None:
    """Numbers are doubles; one that is whole is shown without a point."""
    double = float(value)
    if not math.isfinite(double):
        return None
    return int(double) if double.is_integer() and abs(double) < 2**63 else double


def shown(value: Any) -> Any:
    """As it is read: an object whose keys are all integers is an array where enough of them are there."""
    if not isinstance(value, dict):
        return value
    if value and all(_INTEGER.fullmatch(key) for key in value):
        largest = max(map(int, value))
        if largest < 2 * len(value):
            return [shown(value.get(str(index))) for index in range(largest + 1)]
    return {key: shown(item) for key, item in value.items()}


def etag_of(value: Any) -> str:
    """Of the data at a place, whatever the order of its keys."""
    if value is None:
        return NULL_ETAG
    raw = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return base64.b64encode(hashlib.sha256(raw).digest()[:18]).decode()


def at(value: Any, keys: tuple[str, ...]) -> Any:
    """What is beneath; None where nothing is."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def key_order(key: str) -> tuple[int, int, str]:
    """Keys that are 32-bit integers come first, by their number; then all others by code point."""
    if _INTEGER_KEY.fullmatch(key) and abs(int(key)) <= _LARGEST_INT32:
        return 0, int(key), key
    return 1, 0, key


def value_order(value: Any) -> tuple[int, Any]:
    """null, false, true, numbers, texts, objects (which are all alike)."""
    if value is None:
        return 0, 0
    if isinstance(value, bool):
        return 2 if value else 1, 0
    if isinstance(value, int | float):
        return 3, value
    return (4, value) if isinstance(value, str) else (5, 0)
