"""JSON bodies: parsed strictly, and loaded with a room's schema."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from flask import request
from marshmallow import Schema
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from webapp.errors import InvalidJson, InvalidRequest
from webapp.fields import Body

# Deeper than any record that people make; far below what Python's own recursion takes.
DEEPEST = 64


class Nothing(Body):
    """Of an operation that takes no body: `{}` is as good as none."""


def received() -> bytes:
    """The request's body as it came. Raises InvalidJson, werkzeug's RequestEntityTooLarge."""
    try:
        raw = request.get_data(cache=True)
    except HTTPException:
        raise
    except Exception as error:  # the server's own, of whatever kind: nothing of ours runs in there
        raise InvalidJson("The body did not come as HTTP says: its chunks are broken.") from error
    limit = request.max_content_length
    # Of chunks nobody says how many they are: werkzeug ends at the limit, as if that were all.
    if request.content_length is None and limit is not None and len(raw) >= limit:
        raise RequestEntityTooLarge
    return raw


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
    waiting: list[tuple[Any, tuple[str, ...]]] = [(parsed, ())]
    while waiting:
        item, path = waiting.pop()
        if len(path) >= DEEPEST:
            said = f"Nested deeper than {DEEPEST} levels."
            raise InvalidRequest("The body is nested too deep.", details={path[0]: [said]})
        if isinstance(item, dict):
            waiting += [(part, (*path, name)) for name, value in item.items() for part in (name, value)]
        elif isinstance(item, list):
            waiting += [(part, (*path, str(number))) for number, part in enumerate(item)]
        elif isinstance(item, str) and "\0" in item:
            named = ".".join(path).replace("\0", "\ufffd") or "body"
            said = "Has the character U+0000, which cannot be stored."
            raise InvalidRequest("The body has a text that cannot be stored.", details={named: [said]})
