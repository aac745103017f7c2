"""What surrounds every request: its id, its log line, and the headers that all answers carry."""

from __future__ import annotations

import logging
import re
import time
from uuid import uuid4

from flask import Flask, Response, g, request

from webapp import logs
from webapp.metrics import count_request

log = logging.getLogger("moorage.access")

# Printable, no blanks, nothing that could forge a log line or a header; UUIDs and trace ids all fit.
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
# Probes come every few seconds for ever: their lines are written only when something is wrong, or at DEBUG.
_PROBES = frozenset({"/metrics", "/api/v1/health", "/api/v1/health/live", "/api/v1/health/ready"})


def register(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)


def sane_id(text: str | None) -> str | None:
    """The id as it came where it is one, else None."""
    return text if text and _SANE_ID.fullmatch(text) else None


def route_template() -> str:
    """`/api/v1/agents/<id>`, never the path itself: ids would make as many routes as there are rows."""
    return request.url_rule.rule if request.url_rule else "(unmatched)"


def _begin() -> None:
    g.began = time.perf_counter()
    g.request_id = sane_id(request.headers.get("X-Request-ID")) or str(uuid4())
    g.request_id_token = logs.request_id.set(g.request_id)


def _end(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    correlation = sane_id(request.headers.get("X-Correlation-ID"))
    if correlation:
        response.headers["X-Correlation-ID"] = correlation
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Cache-Control", "no-store")
    seconds, route = time.perf_counter() - g.began, route_template()
    count_request(request.method, route, response.status_code, seconds)
    quiet = route in _PROBES and response.status_code < 400
    log.log(
        logging.DEBUG if quiet else logging.INFO,
        "request",
        extra={
            "method": request.method,
            "route": route,
            "status": response.status_code,
            "ms": round(seconds * 1000, 1),
            **({"correlation_id": correlation} if correlation else {}),
        },
    )
    return response


def _forget(_error: BaseException | None) -> None:
    token = g.pop("request_id_token", None)
    if token is not None:
        logs.request_id.reset(token)
