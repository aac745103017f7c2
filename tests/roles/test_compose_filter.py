"""The pure functions behind the stack: sizes, pins, slots, what is due."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.fixture
def compose(plugin):
    return plugin("filter", "compose")


@pytest.mark.parametrize(
    ("size", "value"), [("512m", 512 * 2**20), ("2g", 2 * 2**30), ("1024", 1024), (64, 64), ("3 MB", 3 * 2**20)]
)
def test_sizes(compose, size, value):
    assert compose.bytes_of(size) == value


@pytest.mark.parametrize("size", ["", "12x", "-1m", "1.5g", "m"])
def test_what_is_no_size_is_named(compose, size):
    with pytest.raises(AnsibleFilterError, match="is not a size"):
        compose.bytes_of(size)


@pytest.mark.parametrize("reference", ["", "x@sha256:12", "x:1", None])
def test_a_pin_that_is_no_digest_is_no_pin(compose, reference):
    with pytest.raises(AnsibleFilterError, match="make pin"):
        compose.pinned("x:1", {"x:1": reference})
    assert compose.unpinned(["x:1"], {"x:1": reference}) == ["x:1"]


UNITS = {
    "controlplane": {"image": "r/controlplane", "services": {"api": {}, "worker": {}}},
    "cache": {"image": "r/cache:7", "services": {"cache": {}}},
}


def release(active="blue", image=A):
    definitions = {unit: {"services": definition["services"], "jobs": {}} for unit, definition in UNITS.items()}
    unit = {
        "active": active,
        "images": {active: f"r/controlplane@{image}"},
        "definitions": {active: definitions["controlplane"]},
    }
    cache = {"active": "blue", "images": {"blue": f"r/cache@{A}"}, "definitions": {"blue": definitions["cache"]}}
    return {"units": {"controlplane": unit, "cache": cache}}


def test_a_unit_whose_definition_changed_is_due_with_the_digest_it_has(compose):
    units = {**UNITS, "controlplane": {**UNITS["controlplane"], "services": {"api": {"mem_limit": "1g"}, "worker": {}}}}
    assert compose.due_units(units, release(), "", {"r/cache:7": f"r/cache@{A}"}) == {
        "controlplane": f"r/controlplane@{A}"
    }


def test_a_slot_is_made_from_its_own_definition(compose):
    units = {"shop": {"image": "r/shop", "services": {"shop": {"mem_limit": "1g"}}}}
    old = {"services": {"shop": {"mem_limit": "64m"}}, "jobs": {}}
    state = {"active": "blue", "images": {"blue": f"r/shop@{A}", "green": f"r/shop@{A}"}, "definitions": {"blue": old}}
    options = {"project": "p", "pins": {}, "networks": {}}
    services = compose.compose_document({}, units, {"units": {"shop": state}}, options)["services"]
    assert services["shop-blue"]["mem_limit"] == "64m"
    assert services["shop-green"]["mem_limit"] == "1g"


@pytest.mark.parametrize(
    ("state", "tag", "pin", "due"),
    [
        ({"units": {}}, "", A, ["cache", "controlplane"]),
        (release(), "", A, []),
        (release(), "sha-2", A, ["controlplane"]),
        (release(), "", B, ["cache"]),
        (release(), "sha-2", B, ["cache", "controlplane"]),
    ],
)
def test_what_a_run_has_to_resolve(compose, state, tag, pin, due):
    assert sorted(compose.due_units(UNITS, state, tag, {"r/cache:7": f"r/cache@{pin}"})) == due


def test_the_active_slots_services_must_run(compose):
    assert compose.slot_services(UNITS, release("green")) == ["api-green", "worker-green", "cache-blue"]
    assert compose.slot_services(UNITS, {"units": {}}) == []


def test_what_the_other_slot_may_have_is_known_whatever_was_begun_there(compose):
    assert compose.idle_services(UNITS, release("green")) == ["api-blue", "worker-blue", "cache-green"]
    state = release("green")
    state["units"]["controlplane"]["definitions"]["blue"] = {"services": {"api": {}, "beat": {}}}
    assert compose.idle_services({}, state) == ["api-blue", "beat-blue", "worker-blue", "cache-green"]
    assert compose.idle_services(UNITS, {"units": {}}) == []


@pytest.mark.parametrize(("target", "unit"), [("api:8000", "controlplane"), ("object-store:8000", "")])
def test_the_unit_that_answers_at_an_address(compose, target, unit):
    assert compose.unit_of(target, UNITS) == unit


def test_a_slotted_address_is_completed_for_each_request(compose):
    assert compose.in_slot("api:8000") == "api-{vars.slot}:8000"
    assert compose.in_slot("api") == "api-{vars.slot}"


def test_a_file_for_each_unit_says_which_slot_gets_its_requests(compose):
    said = {file["path"]: file["content"] for file in compose.slot_files(UNITS, release("green"), "slots")}
    assert said == {"slots/controlplane": "green", "slots/cache": "blue"}
    said = {file["path"]: file["content"] for file in compose.slot_files(UNITS, {"units": {}}, "slots")}
    assert said == {"slots/controlplane": "blue", "slots/cache": "blue"}


def test_a_product_service_gets_its_secrets_by_name_only(compose):
    unit = compose.product_units({"shop": {"image": "r/shop", "secrets": ["SHOP_KEY"], "environment": {"N": 1}}})
    assert unit["shop"]["services"]["shop"]["environment"] == {
        "N": "1",
        "SHOP_KEY": "${SHOP_KEY:?set it with playbooks/set_secret.yml}",
    }


@pytest.mark.parametrize(
    ("part", "check"),
    [
        ({"healthcheck": {"test": ["CMD", "ok"]}}, {"test": ["CMD", "ok"], "start_interval": "2s"}),
        ({}, {"start_period": "60s", "start_interval": "2s"}),
        ({"restart": "no"}, None),
    ],
)
def test_a_new_slot_is_asked_every_second_whether_it_is_well_also_by_its_images_own_check(compose, part, check):
    units = {"shop": {"image": "r/shop", "services": {"shop": part}}}
    state = {"units": {"shop": {"active": "blue", "images": {"blue": f"r/shop@{A}"}}}}
    options = {"project": "p", "pins": {}, "networks": {}, "start_interval": True}
    assert compose.compose_document({}, units, state, options)["services"]["shop-blue"].get("healthcheck") == check
