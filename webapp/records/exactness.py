"""Keeping in a Realtime Database what it cannot keep.

RTDB drops null and empty containers, keeps arrays as objects of small integer keys and guesses on reading which it was,
and knows no keys with `. $ # [ ] /`. So the *natural form* of a record is written, which is what RTDB would make of it,
and beside it, only where the two differ, `_exact`: the JSON text of what was given. On reading, `_exact` counts if its
natural form is what stands beside it; else somebody has changed the record since, and what stands there counts.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from webapp.records.paths import FORBIDDEN, LONGEST_KEY_BYTES

EXACT = "_exact"
# Firebase allows 32 levels: deeper than this within a record, a container is written as its JSON text.
DEEPEST = 20
# IEEE 754's doubles, which is what JavaScript and RTDB count with.
LARGEST_EXACT = 2**53 - 1

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_EMPTY_KEY = "%00"  # U+0000 is in no key: it is refused at the door
_OUR_KEY = "%5Fexact"
_CUT_KEY = "%FF"  # and %FF is no UTF-8
_DIGEST_DIGITS = 32

Body = dict[str, Any]


def written(body: Mapping[str, Any]) -> Body:
    """What is stored of a body: its natural form, with `_exact` where that is not the body itself."""
    if all(_keeps_key(name) and _keeps(value, 1) for name, value in body.items()) and not _like_array(body):
        return dict(body)
    natural = {name: rendered(value) for name, value in (_kept(body, escaped_key, 0) or {}).items()}
    return {**natural, EXACT: _text(body)}


def read(stored: Any) -> Body:
    """The body that was given, out of what is stored (an array, where RTDB made one of the body's own keys)."""
    if isinstance(stored, list):
        stored = {str(index): value for index, value in enumerate(stored) if value is not None}
    if not isinstance(stored, Mapping):
        return {}
    rest = {name: value for name, value in stored.items() if name != EXACT}
    given = _parsed(stored.get(EXACT))
    if given is not None and _same(_kept(given, escaped_key, 0), _kept(rest, str, 0)):
        return given
    return rest


def escaped_key(key: str) -> str:
    """A key that RTDB can have; different keys stay different.

    One with a forbidden character, or that looks escaped already, has those and each `%` as `%XX`; every other is as it
    was. So the two kinds never meet. A key that is too long is cut, and ends in its digest.
    """
    if not key or key == EXACT:
        return _EMPTY_KEY if not key else _OUR_KEY
    if FORBIDDEN.search(key) or _ESCAPED.search(key):
        key = FORBIDDEN.sub(lambda found: f"%{ord(found.group()):02X}", key.replace("%", "%25"))
    raw = key.encode()
    if len(raw) <= LONGEST_KEY_BYTES:
        return key
    end = _CUT_KEY + hashlib.sha256(raw).hexdigest()[:_DIGEST_DIGITS]
    return raw[: LONGEST_KEY_BYTES - len(end)].decode(errors="ignore") + end


def rendered(kept: Any) -> Any:
    """What RTDB shows of what it keeps: objects whose keys are all integers come back as arrays when more than half of
    the keys from 0 to the largest are there ("Best Practices: Arrays in Firebase")."""
    if not isinstance(kept, dict):
        return kept
    if kept and all(_INDEX.fullmatch(name) for name in kept):
        largest = max(map(int, kept))
        if largest < 2 * len(kept):
            return [rendered(kept.get(str(index))) for index in range(largest + 1)]
    return {name: rendered(value) for name, value in kept.items()}


def _kept(value: Any, key: Callable[[str], str], depth: int) -> Any:
    """RTDB's inner form: arrays are objects, and what is empty is not there. None where nothing is kept."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | float):
        return _number(value)
    items = value.items() if isinstance(value, Mapping) else ((str(at), item) for at, item in enumerate(value))
    if depth >= DEEPEST:
        return _text(value) if value else None
    found = ((key(name), _kept(item, key, depth + 1)) for name, item in items)
    return {name: item for name, item in found if item is not None} or None


def _number(value: float) -> Any:
    if isinstance(value, int) and abs(value) <= LARGEST_EXACT:
        return value
    try:
        double = float(value)
    except OverflowError:
        return str(value)
    if not math.isfinite(double):
        return None
    return int(double) if double.is_integer() and abs(double) <= LARGEST_EXACT else double


def _keeps(value: Any, depth: int) -> bool:
    """Does RTDB give this back as it is?"""
    match value:
        case None:
            return False
        case bool() | str():
            return True
        case int():
            return abs(value) <= LARGEST_EXACT
        case float():
            return math.isfinite(value)
        case list():
            return bool(value) and depth < DEEPEST and all(_keeps(item, depth + 1) for item in value)
    return (
        bool(value) and depth < DEEPEST and not _like_array(value)
        and all(_keeps_key(name) and _keeps(item, depth + 1) for name, item in value.items())
    )  # fmt: skip


def _keeps_key(name: str) -> bool:
    return escaped_key(name) == name


def _like_array(value: Mapping[str, Any]) -> bool:
    return bool(value) and all(_INDEX.fullmatch(name) for name in value)


def _same(one: Any, other: Any) -> bool:
    # As text: to Python, True is 1.
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)


def _text(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _parsed(text: Any) -> Body | None:
    if not isinstance(text, str):
        return None
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
