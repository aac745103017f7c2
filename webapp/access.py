"""What surrounds every request: its id, its log line, and the headers that all answers carry."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from flask import Flask, Response, g, request
from werkzeug.exceptions import NotFound

from webapp import logs
from webapp.collaborators import collaborators
from webapp.errors import InvalidRequest
from webapp.metrics import count_request
from webapp.redaction import redact_text

log = logging.getLogger("moorage.access")

# Printable, no blanks, nothing that could forge a log line or a header; UUIDs and trace ids all fit.
_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
# An IPv6 address with a zone.
LONGEST_ADDRESS = 64
# Probes come every few seconds for ever: their lines are written only when something is wrong, or at DEBUG.
PROBES = frozenset({"/metrics", "/api/v1/health", "/api/v1/health/live", "/api/v1/health/ready"})


def register(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)


def sane_id(text: str | None) -> str | None:
    """The id as it came where it is one, else None: a token in its place must not be logged, nor given back."""
    return text if text and _SANE_ID.fullmatch(text) and redact_text(text) == text else None


def route_template() -> str:
    """`/api/v1/agents/<id>`, never the path itself: ids would make as many routes as there are rows."""
    return request.url_rule.rule if request.url_rule else "(unmatched)"


def client_address() -> str:
    """The client's address: the peer's, or what as many proxies of ours as TRUSTED_PROXIES says have passed on."""
    trusted = collaborators().settings.trusted_proxies
    if trusted:
        passed = request.headers.get("X-Forwarded-For", "").split(",")
        if len(passed) >= trusted and (said := passed[-trusted].strip()) and len(said) <= LONGEST_ADDRESS:
            return said
    return request.remote_addr or "unknown"


def bearer_token() -> str | None:
    """The token of the Authorization header; None where there is no such header, or it is of another scheme.

    Not werkzeug's `request.authorization`: it decodes other schemes too, and fails on what is none of them.
    """
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def refuse_nul(values: Mapping[str, Any]) -> None:
    """A path with U+0000 names nothing that could be stored. Raises werkzeug's NotFound."""
    if any(isinstance(value, str) and "\0" in value for value in values.values()):
        raise NotFound


def plain_query() -> dict[str, str]:
    """The query's parameters, each once. Raises InvalidRequest for one that holds U+0000."""
    given = request.args.to_dict()
    for name, value in given.items():
        if "\0" in name or "\0" in value:
            said = "Has the character U+0000, which cannot be searched for."
            raise InvalidRequest(details={name.replace("\0", "\ufffd"): [said]})
    return given


def _begin() -> None:
    g.began = time.perf_counter()
    given = request.headers.get("X-Request-ID")
    if given is None and request.url_rule is not None and request.url_rule.websocket:
        given = request.args.get("request_id")  # a browser cannot set a handshake's headers
    g.request_id = sane_id(given) or str(uuid4())
    g.correlation_id = sane_id(request.headers.get("X-Correlation-ID"))
    g.request_id_token = logs.request_id.set(g.request_id)


def _end(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    correlation = g.correlation_id
    if correlation:
        response.headers["X-Correlation-ID"] = correlation
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Cache-Control", "no-store")
    seconds, route = time.perf_counter() - g.began, route_template()
    count_request(request.method, route, response.status_code, seconds)
    quiet = route in PROBES and response.status_code < 400
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
