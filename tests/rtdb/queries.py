"""`shallow`, `orderBy` and what goes with it, as the REST guide's "Retrieving data" has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from tests.rtdb.values import Refused, at, key_order, refuse_key, value_order

_BOUNDS = ("startAt", "startAfter", "endAt", "endBefore", "equalTo")
_LIMITS = ("limitToFirst", "limitToLast")
Place = tuple[Any, ...]


def asked(value: Any, query: Mapping[str, str]) -> Any:
    """What a GET's query wants of the data at its place (inner form). Raises Refused."""
    given = [name for name in (*_BOUNDS, *_LIMITS) if name in query]
    if query.get("shallow") == "true":
        if given or "orderBy" in query:
            raise Refused("Mixing 'shallow' and querying parameters is not supported")
        return dict.fromkeys(value, True) if isinstance(value, dict) else value
    if "orderBy" not in query:
        if given:
            raise Refused("orderBy must be defined when other query parameters are defined")
        return value
    return _ordered(value, query) if isinstance(value, dict) else None


def _ordered(value: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    by = _json(query, "orderBy")
    if not isinstance(by, str) or not by:
        raise Refused("orderBy must be a valid JSON encoded path")

    def place(key: str) -> Place:
        # Children of the same value are in the order of their keys.
        return (key_order(key),) if by == "$key" else (value_order(_child(value[key], by)), key_order(key))

    names = sorted(value, key=place)
    for name in _BOUNDS:
        if name in query:
            bound = _json(query, name)
            if by == "$key" and not isinstance(bound, str):
                raise Refused(f"{name} must be a string when ordering by $key")
            if isinstance(bound, dict | list):
                raise Refused(f"{name} must be a string, a number, a boolean or null")
            wanted = key_order(bound) if by == "$key" else value_order(bound)
            names = [key for key in names if _within(name, place(key)[0], wanted)]
    return {key: value[key] for key in _limited(names, query)}


def _within(bound: str, mine: Any, wanted: Any) -> bool:
    return bool({
        "startAt": mine >= wanted, "startAfter": mine > wanted, "endAt": mine <= wanted, "endBefore": mine < wanted,
        "equalTo": mine == wanted,
    }[bound])  # fmt: skip


def _limited(names: list[str], query: Mapping[str, str]) -> list[str]:
    given = [name for name in _LIMITS if name in query]
    if len(given) == 2:
        raise Refused("Only one of limitToFirst and limitToLast may be specified")
    for name in given:
        if not query[name].isdigit() or int(query[name]) < 1:
            raise Refused(f"{name} must be a positive integer")
        count = int(query[name])
        names = names[:count] if name == "limitToFirst" else names[-count:]
    return names


def _child(value: Any, by: str) -> Any:
    if by in ("$value", "$priority"):
        return value if by == "$value" else None
    keys = tuple(by.strip("/").split("/"))
    for key in keys:
        refuse_key(key)
    return at(value, keys)


def _json(query: Mapping[str, str], name: str) -> Any:
    try:
        return orjson.loads(query[name])
    except orjson.JSONDecodeError:
        raise Refused(
            "orderBy must be a valid JSON encoded path" if name == "orderBy" else f"{name} must be valid JSON"
        ) from None
