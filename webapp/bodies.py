"""JSON bodies: parsed strictly, and loaded with a room's schema."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from flask import request
from marshmallow import Schema

from webapp.errors import InvalidJson, InvalidRequest

# Deeper than any record that people make; far below what Python's own recursion takes.
DEEPEST = 64


@cache
def loader_of(schema: type[Schema]) -> Schema:
    """One for the process: making one costs more than loading an ordinary body with it, and loading changes nothing
    of it."""
    return schema()


def json_body(schema: type[Schema], raw: bytes) -> dict[str, Any]:
    """The loaded body. Raises InvalidJson, InvalidRequest, marshmallow's ValidationError.

    A body that was left out counts as `{}` where the schema requires nothing.
    """
    loader = loader_of(schema)
    if not raw and not any(field.required for field in loader.load_fields.values()):
        return loader.load({})  # type: ignore[no-any-return]  # marshmallow's own word for it
    if not request.is_json:
        raise InvalidJson
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise InvalidJson from None
    refuse_unstorable(parsed, raw)
    return loader.load(parsed)  # type: ignore[no-any-return]  # marshmallow's own word for it


def refuse_unstorable(parsed: Any, raw: bytes) -> None:
    """Raises InvalidRequest for what PostgreSQL cannot hold (NUL) and what is nested deeper than DEEPEST."""
    # A look at the bytes spares ordinary bodies the walk.
    if b"\\u0000" not in raw and raw.count(b"{") + raw.count(b"[") <= DEEPEST:
        return
    waiting: list[tuple[Any, int]] = [(parsed, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEEPEST:
            raise InvalidRequest(f"The body is nested deeper than {DEEPEST} levels.")
        if isinstance(item, dict):
            waiting += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            waiting += [(part, depth + 1) for part in item]
        elif isinstance(item, str) and "\0" in item:
            raise InvalidRequest("The body has a text with the character U+0000, which cannot be stored.")
