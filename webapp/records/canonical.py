"""The canonical form of a record: two that mean the same have the same bytes, and the same digest.

* Keys are sorted by code point; a field that is null is not there; texts stay as they are (no Unicode normalisation).
* Integers are exact; a float that is whole is that integer (`-0.0` is 0), every other float its shortest text.
* A time (a name that ends in `_at`, `date`, `ts`, and what kinds.TIMES lists) is milliseconds since the epoch,
  whatever notation it came in; what is no time there stays as it is. A number below 10^11 is seconds, so a time before
  March 1973 that is written in milliseconds is read as another one; it is the same one on both sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from webapp.records.kinds import ALWAYS_TIMES
from webapp.records.times import millis_of

_SORTED = orjson.OPT_SORT_KEYS  # of UTF-8, whose order is that of the code points
_LARGEST, _SMALLEST = 2**64 - 1, -(2**63)  # what orjson writes of integers


def canonical(value: Any, times: frozenset[str] = ALWAYS_TIMES) -> Any:
    """The canonical value of any JSON value. `times`: names that are times, beside `*_at` (kinds.times_of)."""
    kind = type(value)
    if kind is dict:
        made = {}
        for name, item in value.items():
            kind = type(item)
            if item is None:
                continue
            if kind is dict or kind is list:
                item = canonical(item, times)  # noqa: PLW2901 - a generator of pairs costs half as much again
            elif name in times or name.endswith("_at"):
                moment = millis_of(item)
                item = _number(item) if moment is None else moment  # noqa: PLW2901 - see above
            elif kind is float:
                item = _number(item)  # noqa: PLW2901 - see above
            made[name] = item
        return made
    if kind is list:
        return [canonical(item, times) if type(item) in _WALKED else item for item in value]
    return _number(value)


_WALKED = frozenset({dict, list, float})


def canonical_json(value: Any, times: frozenset[str] = ALWAYS_TIMES) -> bytes:
    """The canonical value as UTF-8. Raises ValueError for what UTF-8 cannot hold (half a surrogate pair)."""
    made = canonical(value, times)
    try:
        return orjson.dumps(made, option=_SORTED)
    except TypeError:
        pass
    try:
        return orjson.dumps(_with_large_numbers(made), option=_SORTED)
    except TypeError as error:
        raise ValueError(f"has no canonical form: {error}") from None


def digest(body: Mapping[str, Any], times: frozenset[str] = ALWAYS_TIMES) -> str:
    """SHA-256 of the canonical form, in 64 hexadecimal digits. Raises what canonical_json raises."""
    return hashlib.sha256(canonical_json(body, times)).hexdigest()


def _number(value: Any) -> Any:
    return int(value) if type(value) is float and value.is_integer() else value


def _with_large_numbers(value: Any) -> Any:
    """Integers beyond 64 bits as the text that they are: orjson has no other way to write them."""
    if isinstance(value, dict):
        return {name: _with_large_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_large_numbers(item) for item in value]
    if type(value) is int and not _SMALLEST <= value <= _LARGEST:
        return orjson.Fragment(str(value))
    return value
