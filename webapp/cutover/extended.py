"""MongoDB's extended JSON, version 2, canonical and relaxed, as values of ours.

By the specification "MongoDB Extended JSON (v2)". Times become milliseconds since the epoch, ObjectIds their 24 digits,
whole numbers integers of any size; what JSON has nothing for keeps the specification's own form as an object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from webapp.cutover.domain import millis_of
from webapp.cutover.meaning import read_json


def read_extended(raw: bytes) -> Any:
    """What a document's text says. Raises ValueError for what is no extended JSON."""
    return plain(read_json(raw))


def plain(value: Any) -> Any:
    """A value of extended JSON without its types. Raises ValueError for a `$…` whose value is none of that type."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    for name in value:
        if name.startswith("$"):
            convert = _TYPES.get(name)
            if convert is None or len(value) > 2:
                break
            try:
                return convert(value)
            except (TypeError, KeyError, ValueError, AttributeError):
                raise ValueError(f"{name} with something that it cannot have") from None
        break
    return {name: plain(item) for name, item in value.items()}


def _date(value: dict[str, Any]) -> int:
    given = value["$date"]
    found = int(given["$numberLong"]) if isinstance(given, dict) else given if type(given) is int else millis_of(given)
    if found is None or isinstance(found, bool):
        raise ValueError
    return found


def _double(value: dict[str, Any]) -> Any:
    text = str(value["$numberDouble"])
    number = float(text)
    if text in ("Infinity", "-Infinity", "NaN"):
        return text  # JSON has no such number
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _decimal(value: dict[str, Any]) -> str:
    """As text: a double would round it."""
    return str(value["$numberDecimal"])


def _binary(value: dict[str, Any]) -> str:
    """Base64, as extended JSON has it; the subtype is left out. `$uuid` is its text."""
    given = value["$binary"]
    return str(given["base64"]) if isinstance(given, dict) else str(given)


def _timestamp(value: dict[str, Any]) -> int:
    return int(value["$timestamp"]["t"]) * 1000


def _object_id(value: dict[str, Any]) -> str:
    text = str(value["$oid"])
    if len(text) != 24:
        raise ValueError
    return text.lower()


def _integer(name: str) -> Callable[[dict[str, Any]], int]:
    return lambda value: int(value[name])


def _text(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda value: str(value[name])


_TYPES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "$oid": _object_id,
    "$date": _date,
    "$numberInt": _integer("$numberInt"),
    "$numberLong": _integer("$numberLong"),
    "$numberDouble": _double,
    "$numberDecimal": _decimal,
    "$binary": _binary,
    "$uuid": _text("$uuid"),
    "$symbol": _text("$symbol"),
    "$timestamp": _timestamp,
    "$undefined": lambda _: None,
}
