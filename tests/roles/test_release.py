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
    checks = plugin("filter", "release").outside_checks("x.test", release, [{"host": "app.x.test"}], {})
    assert checks[0]["json"] == {"data.version": "a" * 12}
    assert {"url": "https://app.x.test/", "status": 200} in checks


@pytest.mark.parametrize(
    ("probe", "asked"),
    [({"path": "/ok", "status": 204}, {"url": "https://hook.x.test/ok", "status": 204}), (False, None)],
)
def test_a_service_says_what_it_answers_when_it_is_well(plugin, probe, asked):
    sites = [{"host": "hook.x.test", "probe": probe}]
    checks = plugin("filter", "release").outside_checks("x.test", {"units": {}}, sites, {})
    assert [check for check in checks if "hook" in check["url"]] == ([asked] if asked else [])


def test_what_was_declared_and_never_released_is_not_asked_for(plugin):
    sites = [{"host": "docs.x.test", "routes": [{"paths": ["/api/*"], "to": "api:8000"}, {"to": "docs:80"}]}]
    units = {"docs": {"services": {"docs": {}}}}
    ask = plugin("filter", "release").outside_checks
    assert not [check for check in ask("x.test", {"units": {}}, sites, units) if "docs" in check["url"]]
    released = {"units": {"docs": {"active": "blue"}}}
    assert [check for check in ask("x.test", released, sites, units) if "docs" in check["url"]]


FACTS = {
    "kind": "deploy",
    "by": "ann",
    "tag": "t2",
    "verdict": "success",
    "before": {"number": 1, "tag": "t1", "schema": {"head": "0002"}, "units": {}},
    "after": {"number": 2, "schema": {"head": "0003", "works_with": ["0002", "0003"]}},
}
CHANGES = {"shop": {"from": f"r/shop@{A}", "to": f"r/shop@{B}", "slot": "green", "tag": "t2", "definition": D}}


def test_the_line_of_a_release_says_who_from_to_and_what_a_rollback_would_do(plugin):
    entry = plugin("filter", "release").release_entry(CHANGES, FACTS)
    assert (entry["by"], entry["number"], entry["tag"]) == ("ann", 2, "t2")
    assert entry["from"] == {"number": 1, "tag": "t1"}
    assert entry["units"]["shop"] == {"from": f"r/shop@{A}", "to": f"r/shop@{B}", "slot": "green", "tag": "t2"}
    assert entry["rollback"] == {"allowed": True, "to": 1, "tag": "t1"}


def test_a_release_is_called_by_its_own_tag_whatever_its_units_came_from(plugin):
    facts = {**FACTS, "tag": "", "after": {"number": 2, "tag": "t9"}}
    entry = plugin("filter", "release").release_entry(CHANGES, facts)
    assert entry["tag"] == "t9" and entry["units"]["shop"]["tag"] == "t2"


def test_a_way_back_that_the_tables_have_closed_is_said_in_advance(plugin):
    after = {"number": 2, "schema": {"head": "0004", "works_with": ["0003", "0004"]}}
    entry = plugin("filter", "release").release_entry(CHANGES, {**FACTS, "after": after})
    assert entry["rollback"]["allowed"] is False
    assert "its code is at schema 0002; the tables now work with code at 0003, 0004 only" in entry["rollback"]["why"]


def test_a_failed_release_gives_its_reason_and_no_way_back(plugin):
    facts = {**FACTS, "verdict": "failed", "reason": "not\n well", "after": {}}
    entry = plugin("filter", "release").release_entry({}, facts)
    assert (entry["reason"], entry["number"], entry["tag"]) == ("not well", None, "t2")
    assert "rollback" not in entry


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "A rollback without a tag goes to t1 (release 1)."),
        ({"kind": "rollback", "rollback": {"allowed": False, "why": "w"}}, "Went back to t2 (release 2) in 12.3 s"),
        ({"rollback": {"allowed": False, "why": "w"}}, "A rollback without a tag has nowhere to go: w."),
        ({"rollback": {"allowed": False, "to": 1, "tag": "t1", "why": "w"}}, "would be refused: w."),
        ({"requests": {"unknown": "no log"}}, "how many requests failed meanwhile is not known (no log)"),
    ],
)
def test_what_a_person_is_told(plugin, change, said):
    release = plugin("filter", "release")
    entry = release.release_entry(CHANGES, FACTS) | {"seconds": 12.3, "requests": {"answered": 5, "failed": 0}}
    assert said in release.summary(entry | change, 3.1)


def test_a_tag_that_was_moved_after_its_signature_was_verified_is_refused(plugin):
    images = plugin("module_utils", "images")
    assert images.as_verified("r/shop", A, {}) == images.as_verified("r/shop", A, {"r/shop": A}) == A
    with pytest.raises(images.CommandFailed, match=f"stands for {A} now, and {B} is what was verified"):
        images.as_verified("r/shop", A, {"r/shop": B})
