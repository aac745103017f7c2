"""The shape of every answer: the success envelope, and times as clients expect them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Response

# The policy of a page that brings its own style and nothing else; no script may run on it, and no site may frame it.
STYLE_ALONE = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def success(data: Any, *, meta: dict[str, Any] | None = None, status: int = 200) -> Response:
    """`{"success": true, "data": …}`, with `meta` only where there is something to say."""
    body = {"success": True, "data": data}
    if meta:
        body["meta"] = meta
    return json_response(body, status)


def json_response(body: Any, status: int, mimetype: str = "application/json") -> Response:
    return Response(orjson.dumps(body), status=status, mimetype=mimetype)


def rfc3339(moment: datetime | None = None) -> str:
    """`2026-11-20T20:00:00.000Z`: UTC with milliseconds and a Z, the only form clients accept. Default: now."""
    moment = (moment or datetime.now(UTC)).astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(moment: datetime) -> int:
    """Milliseconds since the epoch."""
    return round(moment.timestamp() * 1000)
