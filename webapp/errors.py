"""The error tree, and the one handler that turns whatever was raised into the contract's answer.

Rooms raise their own subclasses of MoorageError in the domain's words; nothing but this module knows HTTP bodies.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from marshmallow import ValidationError
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import BadRequest, HTTPException, MethodNotAllowed, UnsupportedMediaType

from webapp.failures import Failure
from webapp.redaction import redact, redact_messages, redact_text
from webapp.responses import json_response

log = logging.getLogger("moorage.errors")

PROBLEM = "application/problem+json"
# Where there is nothing better to say: a store or a database comes back within seconds, or an operator comes.
RETRY_AFTER_SECONDS = 5

# PostgreSQL's unique_violation and foreign_key_violation: a row has come, or gone, since it was looked for. A service
# that expects one says it in its own words; the other violations of constraints are faults of ours.
RACES = frozenset({"23505", "23503"})

_KNOWN = frozenset(int(status) for status in HTTPStatus)


class MoorageError(Failure):
    """What a client is told: an HTTP status, a code that programs read, a message that people read, details."""

    status: int = 500
    code: str = "INTERNAL_ERROR"
    message: str = "Something went wrong here. The request id finds it in the log."
    # Which kind of token was not one of ours; empty for everything else.
    forged: str = ""

    def __init__(self, message: str | None = None, *, details: Any = None) -> None:
        super().__init__(message or self.message)
        self.details = details

    def shown(self) -> Any:
        """The details, as they may be told."""
        return redact(self.details)

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(RETRY_AFTER_SECONDS)} if self.status == HTTPStatus.SERVICE_UNAVAILABLE else {}


class InvalidRequest(MoorageError):
    status, code, message = (
        400,
        "VALIDATION_ERROR",
        "Some fields are not as they should be; details names each.",
    )

    def shown(self) -> Any:
        return redact_messages(self.details)


class InvalidJson(MoorageError):
    status, code, message = 400, "INVALID_JSON", "The body is not JSON. Send Content-Type: application/json."


class MissingBearerToken(MoorageError):
    status, code, message = 401, "MISSING_BEARER_TOKEN", "Send Authorization: Bearer <token>."

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class TokenInvalid(MoorageError):
    status, code, message = 401, "TOKEN_INVALID", "The token is malformed, expired, revoked or unknown."

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class TokenForged(TokenInvalid):
    """Its signature or its form is wrong; its sender is told no more than of one that is merely old."""

    forged = "bearer"


class ServiceUnavailable(MoorageError):
    status, code, message = (
        503,
        "SERVICE_UNAVAILABLE",
        "The database does not answer just now. Try again shortly.",
    )


class Conflict(MoorageError):
    status, code, message = 409, "CONFLICT", "Something else was written at the same moment. Look, and try again."


class StorageUnavailable(MoorageError):
    status, code, message = (
        503,
        "STORAGE_UNAVAILABLE",
        "The object store does not answer just now. Try again shortly.",
    )


class StorageError(MoorageError):
    status, code, message = 502, "STORAGE_ERROR", "The object store gave an answer that makes no sense here."


class HttpError(MoorageError):
    """What Flask and werkzeug raise themselves: unknown paths, wrong methods, bodies too large, the rest."""

    CODES: ClassVar[dict[int, tuple[str, str]]] = {
        404: ("NOT_FOUND", "There is nothing at this path."),
        405: ("METHOD_NOT_ALLOWED", "This path does not take that method; Allow says which it takes."),
        413: ("PAYLOAD_TOO_LARGE", "The body is larger than this path takes."),
    }

    def __init__(self, raised: HTTPException) -> None:
        self.status = raised.code or 500
        name = HTTPStatus(self.status).name if self.status in _KNOWN else "HTTP_ERROR"
        self.code, message = self.CODES.get(self.status, (name, raised.description or name))
        super().__init__(message)
        self._allow = raised.valid_methods if isinstance(raised, MethodNotAllowed) else None

    def headers(self) -> dict[str, str]:
        return super().headers() | ({"Allow": ", ".join(sorted(self._allow))} if self._allow else {})


def register(app: Flask, forged: Callable[[str], None]) -> None:
    """`forged` hears the kind of each token that was not one of ours."""

    def told(raised: Exception) -> ResponseReturnValue:
        if isinstance(raised, MoorageError) and raised.forged:
            forged(raised.forged)
        return answer(raised)

    app.register_error_handler(Exception, told)


def answer(raised: Exception) -> ResponseReturnValue:
    """The answer for anything raised. Never a stack trace, never 500 for the client's mistake."""
    if isinstance(raised, HTTPException) and (raised.code is None or raised.code < 400):
        return raised.get_response()  # a redirect is raised as well, and is no error
    error = translated(raised)
    if error.status >= 500:
        log.error("%s: %s", error.code, redact_text(str(raised)), exc_info=raised if error.status == 500 else None)
    response = _problem(error) if _wants_problem() else _envelope(error)
    response.headers.extend(error.headers())
    return response


def translated(raised: Exception) -> MoorageError:
    """The error of the tree that says what `raised` means to a client."""
    error = MoorageError()
    match raised:
        case MoorageError():
            error = raised
        case ValidationError():
            error = InvalidRequest(details=raised.messages)
        case UnsupportedMediaType():
            error = InvalidJson()
        case BadRequest() if request.is_json:
            error = InvalidJson()  # the only BadRequest a JSON body brings about is that it does not parse
        case HTTPException():
            error = HttpError(raised)
        case DataError():
            error = InvalidRequest("A value is not one that can be stored.")
        case IntegrityError() if getattr(raised.orig, "pgcode", None) in RACES:
            error = Conflict()
        case OperationalError() | InterfaceError() | PoolTimeout():
            error = ServiceUnavailable()
    return error


def _wants_problem() -> bool:
    # Only who names it gets it: `*/*` is every client that never heard of it.
    return any(kind.lower() == PROBLEM and quality > 0 for kind, quality in request.accept_mimetypes)


def _envelope(error: MoorageError) -> Response:
    body: dict[str, Any] = {"code": error.code, "message": redact_text(str(error))}
    if error.details is not None:
        body["details"] = error.shown()
    return json_response({"success": False, "error": body}, error.status)


def _problem(error: MoorageError) -> Response:
    """RFC 9457. `type` is about:blank: the code says which problem it is, the title is the status's own."""
    title = HTTPStatus(error.status).phrase if error.status in _KNOWN else error.code
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": error.status,
        "detail": redact_text(str(error)),
        "instance": redact_text(request.path),
        "code": error.code,
    }
    if error.details is not None:
        body["errors"] = error.shown()
    return json_response(body, error.status, PROBLEM)
