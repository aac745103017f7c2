"""gunicorn's workers without the words of clients: what it cannot read as HTTP it would log, and send back.

And in our own words: what it answers before a request is one is a failure as every other.
"""

from __future__ import annotations

import contextlib
import socket
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import orjson
from gunicorn import util  # type: ignore[import-untyped]  # gunicorn has no types
from gunicorn.http.errors import NoMoreData, ParseException  # type: ignore[import-untyped]  # gunicorn has no types

from webapp.credential_shapes import HIDDEN

# What clients can meet; the rest is named as its status is.
CODES = {
    HTTPStatus.REQUEST_URI_TOO_LONG: ("URI_TOO_LONG", "The request's line is longer than 4094 bytes."),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        "HEADERS_TOO_LARGE", "A header is longer than 8190 bytes, or there are more than 100.",
    ),
    HTTPStatus.BAD_REQUEST: ("BAD_REQUEST", "This is no HTTP request."),
}  # fmt: skip


class Discreet:
    """Before a class of gunicorn's: `class Threads(Discreet, ThreadWorker)`."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Says what was wrong with a request, but not in the request's own words."""
        if isinstance(exc, ParseException | NoMoreData):
            for name, value in vars(exc).items():
                if isinstance(value, str | bytes | bytearray):
                    setattr(exc, name, HIDDEN)
        if hasattr(req, "uri") and hasattr(req, "path"):
            req.uri = req.path  # a query is never logged
        super().handle_error(req, client, addr, exc)  # type: ignore[misc]  # gunicorn's, by inheritance


def write_error(client: socket.socket, status_int: int, _reason: str, _words: str) -> None:
    """In place of gunicorn's page of HTML."""
    status = HTTPStatus(status_int)
    code, message = CODES.get(status, (status.name, f"{status.phrase}."))
    body = orjson.dumps({"success": False, "error": {"code": code, "message": message}})
    head = (
        f"HTTP/1.1 {status_int} {status.phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nX-Request-ID: {uuid4()}\r\n\r\n"
    )
    with contextlib.suppress(OSError):  # who sent no HTTP may be gone
        util.write_nonblock(client, head.encode() + body)


util.write_error = write_error
