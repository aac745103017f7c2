"""One operation of the API: `@operation(blueprint, "POST /path", …)` declares it and walks every request through it.

The walk is always the same: token → limits → body → transaction → who is this → may they → schema → the route's
one call of a service → the answer. What is declared here is all that the OpenAPI document, the matrix of roles and
the tests of tenants know, so an operation cannot be forgotten by any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from flask import Blueprint, Response, request
from marshmallow import Schema, ValidationError
from sqlalchemy.orm import Session

from webapp import access
from webapp.auth import service as auth
from webapp.bodies import Nothing, json_body, loader_of, received
from webapp.caller import Allow, Caller, Forbidden
from webapp.collaborators import collaborators
from webapp.errors import InvalidJson, MissingBearerToken, MoorageError, ServiceUnavailable, TokenInvalid
from webapp.fields import View
from webapp.idempotency import service as idempotency
from webapp.limits import RateLimited
from webapp.listing import Page
from webapp.redaction import Secret
from webapp.responses import json_response, success
from webapp.views import dumper

LONGEST_KEY = 255
ATTRIBUTE = "moorage_operation"

R = TypeVar("R", bound=Callable[..., Any])


@dataclass
class Call:
    """What a route is given beside the path's values: who asks, and what was loaded. `session` is open while the
    operation is `transacted`; the others open their own (`transaction()` in here is the caller's tenant's)."""

    body: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    known_caller: Caller | None = None
    credential: auth.Credential | None = None
    opened: Session | None = None

    @property
    def caller(self) -> Caller:
        assert self.known_caller is not None, "a public operation has no caller"  # noqa: S101 - a fault of ours
        return self.known_caller

    @property
    def presented(self) -> auth.Credential:
        assert self.credential is not None, "a public operation has no credential"  # noqa: S101 - a fault of ours
        return self.credential

    @property
    def session(self) -> Session:
        assert self.opened is not None, "this operation is not transacted"  # noqa: S101 - a fault of ours
        return self.opened


@dataclass(frozen=True)
class Operation:
    """What is declared. `answer` describes `data`: a View, `[View]` for a list of them, None for an empty object,
    `object` for any JSON value.

    `raises` are the domain's errors it can answer. `creates` honours Idempotency-Key. `transacted`: in one
    transaction; else the caller is vouched for in a short one, and the route opens its own. `vouched=False` is for hot
    paths that vouch for `call.credential` in their own statement, and check `allow` themselves. A `probe` answers
    however often it is asked and whatever is down: no limit, and no refusal.
    """

    method: str
    path: str
    summary: str
    allow: Allow
    tag: str
    body: type[Schema] | None = None
    query: type[Schema] | None = None
    answer: Any = None
    status: int = 200
    raises: tuple[type[MoorageError], ...] = ()
    creates: bool = False
    # A limit's name (RATE_LIMIT_<name>) for each address, and the refusal that means a wrong guess.
    guarded: tuple[str, type[MoorageError]] | None = None
    transacted: bool = True
    vouched: bool = True
    probe: bool = False
    # What the document says beside: statuses that have the same kind of answer, each with an example of `data`;
    # `data` may be null; another media type; headers that are read, parts of the path: what each of them is.
    also: Mapping[int, Any] = field(default_factory=dict)
    or_null: bool = False
    media: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    in_path: Mapping[str, str] = field(default_factory=dict)
    example: Mapping[str, Any] | None = None
    answer_example: Any = None
    description: str = ""


def operation(
    blueprint: Blueprint, line: str, *, summary: str, allow: Allow, tag: str | None = None, **declared: Any
) -> Callable[[R], R]:
    """Serve `METHOD /path` (under the blueprint's prefix) by the decorated route. See Operation for the rest.

    The route gets a Call and the path's values. It returns `data`, or a Page, or `(data, meta)`, or a Response that
    is passed on as it is.
    """
    method, _, path = line.partition(" ")

    def declare(route: R) -> R:
        full = (blueprint.url_prefix or "") + path
        declared_operation = Operation(
            method, full, summary, allow, tag or blueprint.name, description=route.__doc__ or "", **declared
        )

        def view(**values: Any) -> Response:
            walk = _guarded if declared_operation.guarded else _walk
            return walk(declared_operation, route, values)

        setattr(view, ATTRIBUTE, declared_operation)
        blueprint.add_url_rule(path, f"{route.__name__}", view, methods=[method])
        return route

    return declare


def _guarded(op: Operation, route: Callable[..., Any], values: dict[str, Any]) -> Response:
    """The walk, for who might guess. Counted around it: a transaction that is rolled back must not forget."""
    assert op.guarded is not None  # noqa: S101 - what it was chosen for
    (name, wrong), its = op.guarded, collaborators()
    subjects, limit = [f"{name}:{access.client_address()}"], getattr(its.settings, f"rate_limit_{name}")
    with auth.attempts.guarding(its.database, subjects, (wrong,), limit=limit):
        return _walk(op, route, values)


def _walk(op: Operation, route: Callable[..., Any], values: dict[str, Any]) -> Response:
    credential = None if op.allow.public else presented()
    _spend(op, credential)
    raw = b"" if op.method == "GET" else received()
    call = Call(credential=credential)
    access.refuse_nul(values)
    if op.transacted:
        with _opened(op, call) as session:
            if credential is not None and op.vouched:
                call.known_caller = _admitted(op, credential, session)
            return _answer_once(op, call, session, raw, lambda: _run(op, route, call, values, raw))
    if credential is None:
        return _run(op, route, call, values, raw)
    if not op.vouched:
        try:
            return _run(op, route, call, values, raw)
        except (ValidationError, InvalidJson):
            # Before what is wrong with the body comes who may not send one at all.
            _admit_now(op, credential)
            raise
    call.known_caller = _admit_now(op, credential)
    return _run(op, route, call, values, raw)


def _admit_now(op: Operation, credential: auth.Credential) -> Caller:
    with collaborators().database.transaction(credential.tenant) as session:
        return _admitted(op, credential, session)


def presented() -> auth.Credential:
    """The credential in the Authorization header.

    Raises MissingBearerToken, TokenInvalid, RateLimited, ServiceUnavailable.
    """
    token = access.bearer_token()
    if token is None:
        _spend_address()
        raise MissingBearerToken
    its = collaborators()
    try:
        return auth.read(token, its.settings.session_keys, its.issuer)
    except (TokenInvalid, ServiceUnavailable):
        _spend_address()
        raise


def _spend(op: Operation, credential: auth.Credential | None) -> None:
    limits = collaborators().limits
    if credential is None:
        if not op.probe:
            _spend_address()
    else:
        limits.token.spend(str(credential.id or credential.subject))
        limits.tenant.spend(str(credential.tenant))


def _spend_address() -> None:
    collaborators().limits.address.spend(access.client_address())


@contextmanager
def _opened(op: Operation, call: Call) -> Iterator[Session]:
    # Whoever has no tenant yet keeps the answers for an Idempotency-Key where nobody else's rows are.
    tenant: UUID | None = call.credential.tenant if call.credential else idempotency.NOBODY if op.creates else None
    with collaborators().database.transaction(tenant) as session:
        call.opened = session
        yield session


def _admitted(op: Operation, credential: auth.Credential, session: Session) -> Caller:
    return admit(op.allow, credential, auth.ask_standing(session, credential))


def admit(allow: Allow, credential: auth.Credential, row: Any) -> Caller:
    """The caller whose standing a hot path's own statement has asked for (None: it has none).

    Raises TokenInvalid, Forbidden, RateLimited.
    """
    try:
        caller = auth.caller_of(credential, row, address=access.client_address())
    except TokenInvalid:
        _spend_address()
        raise
    collaborators().key_uses.saw(caller)
    if caller.agent_revoked and not allow.revoked_agents:
        raise TokenInvalid
    if allow.refuses(caller):
        raise Forbidden
    return caller


def _run(op: Operation, route: Callable[..., Any], call: Call, values: dict[str, Any], raw: bytes) -> Response:
    if op.query:
        call.query = loader_of(op.query).load(access.plain_query())
    if op.body or raw:
        call.body = json_body(op.body or Nothing, raw)
    made = route(call, **values)
    return made if isinstance(made, Response) else _answered(op, made)


def _answered(op: Operation, made: Any) -> Response:
    meta: dict[str, Any] | None = None
    if isinstance(made, Page):
        made, meta = made.items, made.meta
    elif type(made) is tuple:  # a row is a named one
        made, meta = made
    if isinstance(op.answer, list):
        dump = dumper(op.answer[0])
        return success([dump(item) for item in made], meta=meta, status=op.status)
    if isinstance(op.answer, type) and issubclass(op.answer, View) and made is not None:
        return success(dumper(op.answer)(made), meta=meta, status=op.status)
    if made is None and op.answer is None:
        made = {}
    return success(made, meta=meta, status=op.status)


def _answer_once(
    op: Operation, call: Call, session: Session, raw: bytes, run: Callable[[], Response]
) -> Response:
    """Run it, unless the caller's Idempotency-Key has had its answer."""
    attempt = attempt_of(call, raw) if op.creates else None
    if attempt is None:
        return run()
    keys = collaborators().settings.session_keys
    known = idempotency.begin(session, attempt, keys)
    if known is not None:
        replayed = Response(known.body, status=known.status, mimetype="application/json")
        replayed.headers["Idempotency-Replayed"] = "true"
        return replayed
    answer = run()
    idempotency.finish(session, attempt, keys.current, idempotency.Answer(answer.status_code, answer.get_data()))
    return answer


def attempt_of(call: Call, raw: bytes) -> idempotency.Attempt | None:
    """The request as its Idempotency-Key names it; None where it has none. Raises KeyMalformed."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
        raise KeyMalformed
    tenant = call.credential.tenant if call.credential else idempotency.NOBODY
    who = str(call.credential.id or call.credential.subject) if call.credential else access.client_address()
    return idempotency.Attempt(tenant, who, Secret(key), idempotency.request_digest(request.method, request.path, raw))


class KeyMalformed(MoorageError):
    status, code = 400, "VALIDATION_ERROR"
    message = f"An Idempotency-Key has 1 to {LONGEST_KEY} printable characters."


__all__ = ["Call", "Operation", "RateLimited", "admit", "attempt_of", "json_response", "operation", "presented"]
