"""Another tenant's id gets exactly the answer of an id that does not exist, wherever an operation takes an id.

Generated from the OpenAPI document. A new endpoint is in here by itself; a new kind of id fails until it has a maker.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from tests.api.bare import bare_app, served_document
from tests.api.isolation.asking import ask, shape, told
from tests.api.isolation.rows import Rows, rows_of
from tests.api.isolation.slots import EXEMPT, FREE, KINDS, Slot, operations, parameters, slots, unknown_names
from tests.api.isolation.world import MAKERS, World
from tests.api.people import Town, its, running
from webapp.commands import polling
from webapp.fields import Identifier
from webapp.operation import ATTRIBUTE
from webapp.settings import Settings
from webapp.variables import DatabaseUrl

SLOTS = slots(served_document())
CASES = [(slot, caller) for slot in SLOTS for caller in slot.callers]
WAITING = {"/api/v1/vm-ops/events"}
# Where the owner's own id is found and answered, but not with a success; what is said instead.
NO_SUCCESS = {
    ("agent_sockets_agents_ws", "agent_id"): "UPGRADE_REQUIRED",
    ("agent_sockets_agents_connect", "agent_id"): "UPGRADE_REQUIRED",
}


@pytest.fixture(scope="module")
def app(environment: dict[str, str], settings: Settings) -> Iterator[Flask]:
    with running(Settings.parse(environment | {"INFRA_LEGACY_ENABLED": "true"})) as made:
        yield made


@pytest.fixture(scope="module")
def rows(postgres_admin: DatabaseUrl, settings: Settings) -> Iterator[Rows]:
    with rows_of(postgres_admin, settings.database_url.name) as found:
        yield found


@pytest.fixture(scope="module")
def stranger(app: Flask) -> World:
    """Tenant B, who asks."""
    return World(Town.found(app, "Stranger"))


@pytest.fixture
def owner(app: Flask) -> World:
    """Tenant A, whose things are asked for: new for every case, because asking for one's own may end it."""
    return World(Town.found(app, "Owner"))


@pytest.fixture(autouse=True)
def streams_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "ALIVE_SECONDS", 0.2)
    monkeypatch.setattr(polling, "POLL_SECONDS", 0.1)


every = pytest.mark.parametrize(("slot", "caller"), CASES, ids=[f"{slot} by {caller}" for slot, caller in CASES])


def made(world: World, slot: Slot) -> Any:
    """The id of a thing that the slot's operation would find."""
    for kind in slot.beside:
        world.value(kind)
    return world.value(slot.kind)


@every
def test_anothers_id_is_answered_like_none(
    slot: Slot, caller: str, owner: World, stranger: World, rows: Rows
) -> None:
    by = stranger.caller(caller, slot.op["x-callers"]["scope"])
    foreign, unknown = made(owner, slot), stranger.unknown(slot.kind)
    before = rows.of(owner.town.tenant)
    expected = shape(ask(slot, by, stranger, unknown), unknown)
    answer = ask(slot, by, stranger, foreign)
    got = shape(answer, foreign)
    assert got == expected
    assert rows.of(owner.town.tenant) == before, "what is another tenant's was touched"
    assert [known for known in owner.known() if len(known) >= 8 and known in str(got)] == []


@every
def test_ones_own_id_is_not_answered_like_none(slot: Slot, caller: str, owner: World) -> None:
    by = owner.caller(caller, slot.op["x-callers"]["scope"])
    mine, unknown = made(owner, slot), owner.unknown(slot.kind)
    none = shape(ask(slot, by, owner, unknown), unknown)
    answer = ask(slot, by, owner, mine)
    own = shape(answer, mine)
    assert (own == none) is slot.free(caller), f"own {own}, unknown {none}"
    if caller != "member":
        said = NO_SUCCESS.get((slot.operation, slot.name))
        assert answer.status_code < 400 if said is None else answer.json["error"]["code"] == said, answer.text


def test_no_list_has_a_row_of_anothers(owner: World, stranger: World) -> None:
    for kind in MAKERS:
        owner.value(kind)
    asked = 0
    for method, path, op in operations(served_document()):
        if method == "get" and op["x-callers"].get("roles") and "{" not in path and path not in WAITING:
            seen = stranger.admin.get(path).text
            assert [known for known in owner.known() if known in seen and len(known) >= 8] == []
            asked += "admin" in op["x-callers"]["roles"]
    assert asked > 12


def test_whatever_looks_like_an_id_has_a_maker_or_a_reason() -> None:
    wrong = unknown_names(served_document())
    assert not wrong, "\n".join(wrong)


def test_a_new_id_without_a_maker_is_told_what_to_add() -> None:
    document = deepcopy(served_document())
    document["paths"]["/api/v1/boats/{boat_id}"] = {
        "get": {"operationId": "boats_one", "parameters": [{"name": "boat_id", "in": "path"}], "x-callers": {}}
    }
    [said] = unknown_names(document)
    assert said.startswith("GET /api/v1/boats/{boat_id} path boat_id: no maker. Add the name 'boat_id' to KINDS")


def test_every_field_that_is_declared_an_id_is_known_as_one() -> None:
    """A name need not say it: the schema's kind of field does."""
    views = bare_app().view_functions.values()
    declared = [op for view in views if (op := getattr(view, ATTRIBUTE, None)) is not None]
    fields = [
        (f"{op.method} {op.path}", name)
        for op in declared for schema in (op.body, op.query) if schema is not None
        for name, field in schema().load_fields.items() if isinstance(field, Identifier)
    ]  # fmt: skip
    assert len(fields) > 10
    assert [(line, name) for line, name in fields if name not in KINDS and name not in EXEMPT] == []


def test_no_exemption_has_outlived_its_parameter() -> None:
    there = {slot.name for slot in parameters(served_document())}
    assert (KINDS.keys() | EXEMPT.keys()) - there == set()
    assert FREE.keys() | NO_SUCCESS.keys() <= {(slot.operation, slot.name) for slot in SLOTS}
    assert not KINDS.keys() & EXEMPT.keys()


def test_every_operation_of_tenants_that_takes_an_id_is_asked() -> None:
    asked = {slot.operation for slot, _ in CASES}
    assert {slot.operation for slot in SLOTS} == asked and len(asked) > 35


def test_the_digest_sees_every_change_of_a_tenants_rows(owner: World, rows: Rows) -> None:
    vm, before = owner.value("vm"), rows.of(owner.town.tenant)
    assert len(before) > 18 and before["licensing_vms"][0] == 1
    with its(owner.town.app).database.transaction(owner.town.tenant) as session:
        session.execute(text("UPDATE licensing_vms SET vm_name = 'another' WHERE vm_uuid = :vm"), {"vm": vm})
    after: dict[str, Any] = rows.of(owner.town.tenant)
    assert [table for table in after if after[table] != before[table]] == ["licensing_vms"]


def test_the_end_of_a_stream_that_has_nothing_to_say_is_seen(owner: World) -> None:
    answer = owner.admin.client.get("/api/v1/vm-ops/events", headers=owner.admin.headers, buffered=False)
    assert told(answer).startswith("retry:")
