"""Every operation for every kind of caller, generated from the operations themselves: none can be forgotten.

Whoever may, is never answered 401 or FORBIDDEN (what is asked for need not exist); whoever may not, always is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from tests.api.bare import bare_app
from tests.api.fleet import enlist, key_of
from tests.api.people import Person, Town, its, refusal, running
from webapp.caller import SCOPES
from webapp.operation import ATTRIBUTE, Operation
from webapp.settings import Settings

UNKNOWN = "00000000-0000-0000-0000-000000000000"
# They hold the line until something happens.
WAITING = {"/api/v1/vm-ops/events", "/api/v1/vm-ops/commands/next"}


def operations() -> list[Operation]:
    """What the application declares; the same for any settings, so none is needed to ask."""
    made = bare_app()
    declared = (getattr(view, ATTRIBUTE, None) for view in made.view_functions.values())
    found = {f"{op.method} {op.path}": op for op in declared if op is not None}
    return [found[line] for line in sorted(found)]


OPERATIONS = operations()
every = pytest.mark.parametrize(
    "op", [op for op in OPERATIONS if op.path not in WAITING], ids=lambda op: f"{op.method} {op.path}"
)


@pytest.fixture(scope="module")
def settled(environment: dict[str, str], settings: Settings) -> Iterator[Flask]:
    """One application for the whole matrix, with all that can be switched on."""
    with running(Settings.parse(environment | {"INFRA_LEGACY_ENABLED": "true"})) as made:
        yield made


@pytest.fixture(scope="module")
def town(settled: Flask) -> Town:
    return Town.found(settled)


def ask(op: Operation, person: Person) -> TestResponse:
    path = re.sub(r"<[^>]+>", UNKNOWN, op.path)
    return person.call(f"{op.method} {path}", {} if op.body else None)


def let_in(answer: TestResponse) -> bool:
    if answer.status_code == 401:
        return False
    if answer.status_code == 403 and answer.json is not None:
        return answer.json["error"]["code"] != "FORBIDDEN"
    return True


@every
@pytest.mark.parametrize("role", ["admin", "infra", "member", "viewer"])
def test_roles(op: Operation, role: str, town: Town) -> None:
    if op.allow.public:
        return
    answer = ask(op, _person(op, town, role))
    assert let_in(answer) is (role in op.allow.roles), answer.text


def _person(op: Operation, town: Town, role: str) -> Person:
    """Whoever logs out cannot be asked again."""
    return town.person(role, f"{role}-leaves-{op.path}") if "logout" in op.path else town.person(role)


@every
def test_keys_by_their_scopes(op: Operation, town: Town) -> None:
    if op.allow.public:
        return
    others = [scope for scope in SCOPES if scope != op.allow.scope]
    assert let_in(ask(op, key_of(town, *others))) is _any_token(op)
    if op.allow.scope:
        assert let_in(ask(op, key_of(town, op.allow.scope)))


def _any_token(op: Operation) -> bool:
    return op.path in ("/api/v1/auth/verify", "/api/v1/auth/whoami")


@every
def test_agents(op: Operation, town: Town) -> None:
    if op.allow.public:
        return
    answer = ask(op, _kept(town, "agent", lambda: enlist(town)))
    assert let_in(answer) is op.allow.agents, answer.text


@every
def test_nobody_without_a_token_or_with_a_dead_one(op: Operation, town: Town) -> None:
    if op.allow.public:
        return
    path = re.sub(r"<[^>]+>", UNKNOWN, op.path)
    bare = town.app.test_client().open(path, method=op.method, **({"json": {}} if op.body else {}))
    assert refusal(bare) == (401, "MISSING_BEARER_TOKEN")
    assert refusal(ask(op, _kept(town, "revoked", lambda: _revoked(town)))) == (401, "TOKEN_INVALID")


_KEPT: dict[tuple[object, str], Person] = {}


def _kept(town: Town, what: str, make: Callable[[], Person]) -> Person:
    """Made once for the whole matrix."""
    if (town.tenant, what) not in _KEPT:
        _KEPT[town.tenant, what] = make()
    return _KEPT[town.tenant, what]


def _revoked(town: Town) -> Person:
    gone = town.person("admin", "gone")
    with its(town.app).database.transaction(town.tenant) as session:
        session.execute(text("UPDATE auth_sessions SET revoked_at = now() WHERE user_id = 'gone'"))
    return gone


def test_the_matrix_has_what_the_contract_names() -> None:
    paths = {f"{op.method} {op.path}" for op in OPERATIONS}
    assert len(paths) > 60
    assert {
        "POST /api/v1/vm/register", "POST /api/v1/license/lease", "POST /api/v1/artifacts/resolve-download",
        "POST /api/v1/agents/pairings", "POST /api/v1/vm-ops/commands", "POST /api/v1/secrets", "GET /api/v1/audit",
        "POST /api/v1/auth/login",
    } <= paths  # fmt: skip


BY_NAME = [
    ("an administrator grants licences", "admin", "POST /api/v1/licenses", True),
    ("a manager grants no licences", "infra", "POST /api/v1/licenses", False),
    ("an observer grants no licences", "viewer", "POST /api/v1/licenses", False),
    ("an administrator entitles", "admin", "POST /api/v1/entitlements", True),
    ("a manager entitles nobody", "infra", "POST /api/v1/entitlements", False),
    ("an administrator releases", "admin", "POST /api/v1/artifacts/releases", True),
    ("a manager releases", "infra", "POST /api/v1/artifacts/releases", True),
    ("an observer releases nothing", "viewer", "POST /api/v1/artifacts/releases", False),
    ("a manager assigns", "infra", "POST /api/v1/artifacts/assign", True),
    ("an observer assigns nothing", "viewer", "POST /api/v1/artifacts/assign", False),
    ("an observer reads releases", "viewer", "GET /api/v1/artifacts/releases", True),
    ("an observer reads no download log", "viewer", "GET /api/v1/artifacts/audit", False),
    ("a manager reads the download log", "infra", "GET /api/v1/artifacts/audit", True),
    ("an observer takes no lease", "viewer", "POST /api/v1/license/lease", False),
    ("a manager revokes leases", "infra", "POST /api/v1/license/revoke", True),
    ("an observer revokes no lease", "viewer", "POST /api/v1/license/revoke", False),
    ("a manager reads the audit log", "infra", "GET /api/v1/audit", True),
    ("an observer reads no audit log", "viewer", "GET /api/v1/audit", False),
    ("an observer pairs no agent", "viewer", "POST /api/v1/agents/pairings", False),
    ("an observer sees the agents", "viewer", "GET /api/v1/agents", True),
    ("a manager queues any command", "infra", "POST /api/v1/vm-ops/commands", True),
    ("an observer queues no command", "viewer", "POST /api/v1/vm-ops/commands", False),
    ("an observer stores no secret", "viewer", "POST /api/v1/secrets", False),
    ("an observer sees what is known of secrets", "viewer", "GET /api/v1/secrets", True),
    ("an administrator keeps the allow-list", "admin", "PUT /api/v1/secrets/allowances", True),
    ("a manager does not", "infra", "PUT /api/v1/secrets/allowances", False),
    ("a member keeps records", "member", "POST /api/v1/bots", True),
    ("an observer reads records", "viewer", "GET /api/v1/workspace/<workspace_kind>", True),
    ("an observer keeps none", "viewer", "POST /api/v1/workspace/<workspace_kind>", False),
    ("an observer moves no bot", "viewer", "POST /api/v1/bots/<record_id>/lifecycle/transition", False),
    ("a manager writes settings", "infra", "PUT /api/v1/settings/<path:path>", True),
    ("a member writes none", "member", "PATCH /api/v1/settings", False),
    ("an observer reads settings", "viewer", "GET /api/v1/settings", True),
]


@pytest.mark.parametrize(("role", "line", "may"), [case[1:] for case in BY_NAME], ids=[case[0] for case in BY_NAME])
def test_by_name(role: str, line: str, may: bool, town: Town) -> None:
    [op] = [op for op in OPERATIONS if f"{op.method} {op.path}" == line]
    assert let_in(ask(op, town.person(role))) is may
