"""Every answer an operation can give: its success, its own errors, and those of the walk around it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, Literal
from uuid import UUID

from marshmallow import Schema, fields

from webapp.caller import ROLES, Allow, Caller, Forbidden
from webapp.errors import (
    PROBLEM,
    Conflict,
    HttpError,
    InvalidJson,
    InvalidRequest,
    MissingBearerToken,
    MoorageError,
    ServiceUnavailable,
    TokenInvalid,
)
from webapp.fields import OpenObject, PlaintextSecretRefused
from webapp.idempotency.service import IdempotencyKeyReused
from webapp.limits import RateLimited
from webapp.operation import Operation

Json = dict[str, Any]
NOBODY = UUID(int=0)
TOKENS: Final[tuple[Literal["key", "agent"], ...]] = ("key", "agent")
_LOWEST = {"total": 0, "page": 1, "limit": 1}
META = {
    "type": "object",
    "properties": {name: {"type": "integer", "minimum": low} for name, low in _LOWEST.items()},
    "required": ["total", "page", "limit"],
    "example": {"total": 1, "page": 1, "limit": 50},
}
ON_EVERY_ANSWER = {
    "X-Request-ID": {"description": "The request's id, in the log too.", "schema": {"type": "string"}},
}
ON_STATUS: dict[int, dict[str, str]] = {
    302: {"Location": "Where to go."},
    401: {"WWW-Authenticate": "How to authenticate."},
    429: {
        "Retry-After": "Seconds until the next request may come.",
        "RateLimit-Limit": "Requests a minute.",
        "RateLimit-Remaining": "What is left of them.",
        "RateLimit-Reset": "Seconds until the window begins anew.",
    },
    503: {"Retry-After": "Seconds until it is worth trying again."},
}


def envelope(data: Json, *, paged: bool) -> Json:
    """The schema of a success."""
    made: Json = {
        "type": "object",
        "properties": {"success": {"const": True}, "data": data, **({"meta": META} if paged else {})},
        "required": ["success", "data"],
    }
    return made


def errors_of(op: Operation) -> list[type[MoorageError]]:
    """What the operation can raise: its own, and what the walk around it can."""
    errors = [*op.raises, *_of_the_walk(op)]
    # Two that write the same at once, where no service expected it.
    errors += [Conflict] if op.method != "GET" and op.transacted else []
    return errors if op.probe else [*errors, RateLimited, ServiceUnavailable]


def codes_of(op: Operation) -> dict[int, dict[str, str]]:
    """The codes of each status that is no success, each with its words."""
    told = [(error.status, error.code, error.message) for error in errors_of(op)]
    told += [(413, *HttpError.CODES[413])] if op.method != "GET" else []
    # A part of the path with U+0000 in it names nothing.
    told += [(404, *HttpError.CODES[404])] if "<" in op.path else []
    return by_status(told)


def by_status(told: Iterable[tuple[int, str, str]]) -> dict[int, dict[str, str]]:
    """(status, code, words) as {status: {code: words}}, in order; of two with the same code the first's words."""
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for status, code, words in told:
        found[status].setdefault(code, words)
    return {status: dict(sorted(codes.items())) for status, codes in sorted(found.items())}


def refuses_someone(allow: Allow) -> bool:
    """Whether a valid token can be one that may not: a role's, a key's, an agent's."""
    someone = [Caller("user", NOBODY, "", role=role) for role in ROLES]
    someone += [Caller(kind, NOBODY, "") for kind in TOKENS]
    return not allow.public and any(allow.refuses(caller) for caller in someone)


def _of_the_walk(op: Operation) -> Iterable[type[MoorageError]]:
    if not op.allow.public:
        yield from (MissingBearerToken, TokenInvalid)
    if refuses_someone(op.allow):
        yield Forbidden
    if op.method != "GET":
        yield from (InvalidJson, InvalidRequest)
    if op.body and _holds_anything(op.body):
        yield PlaintextSecretRefused
    if op.query or op.creates:
        yield InvalidRequest
    if op.creates:
        yield IdempotencyKeyReused


def _holds_anything(schema: type[Schema]) -> bool:
    """Whether clients can put names of their own somewhere into the body."""
    return any(
        isinstance(field, OpenObject) or (isinstance(field, fields.Nested) and _holds_anything(type(field.schema)))
        for field in schema().load_fields.values()
    )


def refusal(status: int, codes: Mapping[str, str]) -> Json:
    """The response object of a failure, in both of its shapes. `codes`: each with its words."""
    code = {"type": "string", "enum": list(codes)}
    error: Json = {
        "type": "object",
        "properties": {"code": code, "message": {"type": "string"}, "details": {}},
        "required": ["code", "message"],
    }
    body = {
        "type": "object",
        "properties": {"success": {"const": False}, "error": error},
        "required": ["success", "error"],
    }
    problem = {
        "type": "object",
        "properties": {
            "type": {"const": "about:blank"},
            "title": {"type": "string"},
            "status": {"const": status},
            "detail": {"type": "string"},
            "instance": {"type": "string"},
            "code": code,
            "errors": {},
        },
        "required": ["type", "title", "status", "detail", "instance", "code"],
    }
    title, (first, words) = HTTPStatus(status).phrase, next(iter(codes.items()))
    told = {"success": False, "error": {"code": first, "message": words}}
    shown = {"type": "about:blank", "title": title, "status": status, "detail": words, "instance": "/api/v1"}
    return {
        "description": f"{title}: {', '.join(codes)}",
        "headers": headers(status),
        "content": {
            "application/json": {"schema": body, "example": told},
            PROBLEM: {"schema": problem, "example": {**shown, "code": first}},
        },
    }


def headers(status: int, *, replayed: bool = False) -> Json:
    """What an answer's headers are, beside the ones of HTTP itself."""
    made: Json = dict(ON_EVERY_ANSWER)
    for name, words in ON_STATUS.get(status, {}).items():
        made[name] = {"description": words, "schema": {"type": "string"}}
    if replayed:
        words = "`true` where this is the answer that the Idempotency-Key has had before."
        made["Idempotency-Replayed"] = {"description": words, "schema": {"const": "true"}}
    return made
