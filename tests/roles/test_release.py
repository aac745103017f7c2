"""Planning a release: which unit changes, from which digest to which, into which slot."""

from __future__ import annotations

import pytest

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.fixture
def planner(plugin):
    return plugin("modules", "release_plan")


@pytest.fixture
def changes_of(plugin):
    return plugin("module_utils", "release_changes")


D = {"services": {"shop": {"mem_limit": "64m"}}, "jobs": {}}


def state(active, **images):
    references = {slot: f"r/shop@{digest}" for slot, digest in images.items()}
    return {
        "units": {"shop": {"active": active, "images": references, "tags": {active: "t0"}, "definitions": {active: D}}}
    }


def test_another_configuration_of_the_same_image_goes_into_the_free_slot_under_its_own_tag(planner, changes_of):
    other = {"services": {"shop": {"mem_limit": "128m"}}, "jobs": {}}
    changes = planner.plan({"shop": f"r/shop@{A}"}, {}, "", state("blue", blue=A), {"shop": other})
    assert changes["shop"] == {
        "from": f"r/shop@{A}",
        "to": f"r/shop@{A}",
        "slot": "green",
        "previous": "blue",
        "tag": "t0",
        "definition": other,
    }
    _, after = changes_of.states(state("blue", blue=A), changes)
    assert after["units"]["shop"]["definitions"] == {"blue": D, "green": other}


@pytest.mark.parametrize(
    ("release", "digest", "slot"),
    [
        ({"units": {}}, A, "blue"),
        (state("blue", blue=A), B, "green"),
        (state("green", green=A, blue=B), B, "blue"),
        (state("blue", blue=A), A, None),
    ],
)
def test_the_free_slot_takes_what_is_new(planner, release, digest, slot):
    changes = planner.plan({"shop": "r/shop"}, {"shop": digest}, "t", release, {"shop": D})
    assert (changes["shop"]["slot"] if changes else None) == slot


def test_both_slots_have_images_until_the_switch_and_after_it(planner, changes_of):
    before = state("blue", blue=A)
    changes = planner.plan({"shop": "r/shop"}, {"shop": B}, "t2", before, {"shop": D})
    both, after = changes_of.states(before, changes)
    assert both["units"]["shop"]["active"] == "blue"
    assert after["units"]["shop"]["active"] == "green"
    assert (
        both["units"]["shop"]["images"]
        == after["units"]["shop"]["images"]
        == {
            "blue": f"r/shop@{A}",
            "green": f"r/shop@{B}",
        }
    )
    assert before == state("blue", blue=A), "the plan must not change what it was given"


def test_a_first_release_has_nothing_active_until_the_switch(planner, changes_of):
    changes = planner.plan({"shop": "r/shop"}, {"shop": A}, "t", {"units": {}}, {"shop": D})
    both, after = changes_of.states({"units": {}}, changes)
    assert both["units"]["shop"]["active"] == ""
    assert after["units"]["shop"]["active"] == "blue"


def test_what_does_not_run_as_wanted_or_is_not_well_is_not_released(plugin):
    seal, state_module = plugin("modules", "release_seal"), plugin("module_utils", "compose_state")
    running = {
        "api-blue": state_module.Running("c", "h", "running", "healthy", 0, "r/x@old"),
        "sockets-blue": state_module.Running("c", "h", "running", "unhealthy", 0, "r/x@new"),
        "proxy": state_module.Running("c", "h", "exited", "", 0, "r/caddy@1"),
    }
    expected = dict.fromkeys(("api-blue", "sockets-blue", "worker-blue"), "r/x@new")
    assert seal.differences(expected, running, ["proxy", "postgres"]) == [
        "api-blue runs r/x@old, not r/x@new",
        "worker-blue runs nothing, not r/x@new",
        "sockets-blue is running unhealthy",
        "proxy is exited",
        "postgres has no container",
    ]


@pytest.mark.parametrize(
    ("have", "reason"),
    [
        (None, "has no container"),
        (("other", "running"), "its configuration changed"),
        (("h", "exited"), "is exited"),
        (("h", "running"), None),
    ],
)
def test_what_must_be_started_and_why(plugin, have, reason):
    module = plugin("module_utils", "compose_state")
    running = {"api": module.Running("c", have[0], have[1], "", 0, "i")} if have else {}
    assert module.drift(["api"], {"api": "h"}, running).get("api") == reason


def test_the_probes_ask_for_the_running_digest(plugin):
    release = {"units": {"controlplane": {"active": "blue", "images": {"blue": f"r/c@{A}"}}}}
    checks = plugin("filter", "release").outside_checks("x.test", release, [{"host": "app.x.test"}])
    assert checks[0]["json"] == {"data.version": "a" * 12}
    assert {"url": "https://app.x.test/", "status": 200} in checks


@pytest.mark.parametrize(
    ("probe", "asked"),
    [({"path": "/ok", "status": 204}, {"url": "https://hook.x.test/ok", "status": 204}), (False, None)],
)
def test_a_service_says_what_it_answers_when_it_is_well(plugin, probe, asked):
    sites = [{"host": "hook.x.test", "probe": probe}]
    checks = plugin("filter", "release").outside_checks("x.test", {"units": {}}, sites)
    assert [check for check in checks if "hook" in check["url"]] == ([asked] if asked else [])
