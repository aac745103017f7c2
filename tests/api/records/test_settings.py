"""The settings tree at any depth, on both stores."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.fleet import key_of
from tests.api.people import Person, Town, data, refusal

SETTINGS = "/api/v1/settings"
TREE: dict[str, Any] = {
    "ui": {"theme": "dark", "tabs": [], "none": None},
    "limits": {"0": 1, "1": 2},
    "a.b/c": {},
    "n": 0,
}


def put(who: Person, path: str, value: Any) -> Any:
    return sent(who, "PUT", path, value)


def sent(who: Person, method: str, path: str, value: Any) -> Any:
    """Also null, which the test client takes for no body."""
    given: dict[str, Any] = {"data": json.dumps(value), "content_type": "application/json", "headers": who.headers}
    return who.client.open(f"{SETTINGS}{path}", method=method, **given)


@pytest.fixture
def planted(town: Town) -> Town:
    assert data(put(town.admin, "", TREE)) == TREE
    return town


def test_a_tenant_begins_without_settings(town: Town) -> None:
    assert data(town.viewer.get(SETTINGS)) == {}
    assert refusal(town.viewer.get(f"{SETTINGS}/ui")) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "found"),
    [("", TREE), ("/ui", TREE["ui"]), ("/ui/theme", "dark"), ("/ui/tabs", []), ("/ui/none", None), ("/limits/1", 2),
    ("/n", 0)],
)  # fmt: skip
def test_settings_are_read_at_any_depth(planted: Town, path: str, found: Any) -> None:
    assert data(planted.viewer.get(f"{SETTINGS}{path}")) == found


@pytest.mark.parametrize(
    "path", ["/x", "/ui/x", "/ui/theme/x", "/ui/tabs/0", "/UI", "/ui%20", "/a.b", "/" + "x/" * 40 + "x"]
)
def test_what_is_not_there_is_not_found(planted: Town, path: str) -> None:
    assert refusal(planted.viewer.get(f"{SETTINGS}{path}")) == (404, "NOT_FOUND")


@pytest.mark.parametrize("value", ["light", 5, True, None, [], {}, {"a": {"0": "x"}, "b.c": None}, [1, None], ""])
def test_any_value_is_put_at_any_path(planted: Town, value: Any) -> None:
    for path in ("/ui/theme", "/brand/new/place"):
        assert data(put(planted.infra, path, value)) == value
        answer = planted.viewer.get(f"{SETTINGS}{path}")
        if value is None:
            assert refusal(answer) == (404, "NOT_FOUND")
        else:
            assert data(answer) == value
    rest = data(planted.viewer.get(SETTINGS))
    assert {name: rest[name] for name in ("limits", "a.b/c", "n")} == {
        name: TREE[name] for name in ("limits", "a.b/c", "n")
    }
    assert rest["ui"]["tabs"] == []


def test_a_patch_replaces_some_and_removes_some(planted: Town) -> None:
    said: dict[str, Any] = {"theme": None, "tabs": [1], "new": {}}
    assert data(planted.admin.call(f"PATCH {SETTINGS}/ui", said)) == {"none": None, "tabs": [1], "new": {}}
    assert data(planted.admin.call(f"PATCH {SETTINGS}", {"ui": None, "limits": None, "a.b/c": None})) == {"n": 0}
    assert data(planted.admin.call(f"PATCH {SETTINGS}/deep/down", {"a": 1})) == {"a": 1}
    assert data(planted.viewer.get(SETTINGS)) == {"n": 0, "deep": {"down": {"a": 1}}}


def test_no_path_leads_through_a_value(planted: Town) -> None:
    for path in ("/n/x", "/ui/tabs/0", "/ui/theme/x/y"):
        assert refusal(put(planted.admin, path, 1)) == (409, "SETTINGS_PATH_BLOCKED")
        assert refusal(planted.admin.call(f"PATCH {SETTINGS}{path}", {"a": 1})) == (409, "SETTINGS_PATH_BLOCKED")
    assert data(planted.viewer.get(SETTINGS)) == TREE


@pytest.mark.parametrize("value", [[], "x", 1, None])
def test_the_settings_as_a_whole_are_an_object(planted: Town, value: Any) -> None:
    assert refusal(put(planted.admin, "", value)) == (400, "VALIDATION_ERROR")
    assert refusal(sent(planted.admin, "PATCH", "", value)) == (400, "VALIDATION_ERROR")
    assert data(planted.viewer.get(SETTINGS)) == TREE


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("", {"smtp": {"password": "x"}}, "settings.smtp.password"),
        ("/smtp", {"password": "x"}, "settings.smtp.password"),
        ("/smtp/password", "x", "settings.smtp.password"), ("/api_key", "x", "settings.api_key"),
        ("/smtp/Auth-Token", ["x"], "settings.smtp.Auth-Token"),
    ],
)  # fmt: skip
def test_settings_hold_no_secret_also_by_the_paths_last_part(planted: Town, path: str, value: Any, named: str) -> None:
    allowed = {"paths": [named, f"records.{named}"]}
    data(planted.admin.call("PUT /api/v1/secrets/allowances", allowed))
    answer = put(planted.admin, path, value)
    assert refusal(answer) == (400, "PLAINTEXT_SECRET_REFUSED")
    assert answer.json["error"]["details"] == {"path": named}
    if isinstance(value, dict):
        assert refusal(planted.admin.call(f"PATCH {SETTINGS}{path}", value)) == (400, "PLAINTEXT_SECRET_REFUSED")
    assert data(planted.viewer.get(SETTINGS)) == TREE


def test_admin_and_infra_write_settings_and_everybody_reads_them(planted: Town) -> None:
    for who in (planted.member, planted.viewer, key_of(planted, "records:read")):
        assert refusal(put(who, "/n", 1)) == (403, "FORBIDDEN")
        assert data(who.get(f"{SETTINGS}/n")) == 0
    for number, who in enumerate((planted.admin, planted.infra, key_of(planted, "records:write")), 1):
        assert data(put(who, "/n", number)) == number


def test_another_tenants_settings_are_not_there(planted: Town, elsewhere: Town) -> None:
    assert data(elsewhere.admin.get(SETTINGS)) == {}
    data(put(elsewhere.admin, "/ui/theme", "light"))
    for trick in (f"/..%2F{planted.tenant}/settings", f"/%2e%2e/%2e%2e/{planted.tenant}/settings/ui", "/ui.json"):
        assert elsewhere.admin.get(f"{SETTINGS}{trick}").status_code == 404
    assert data(planted.viewer.get(SETTINGS)) == TREE
    assert data(elsewhere.viewer.get(SETTINGS)) == {"ui": {"theme": "light"}}


def test_of_many_who_write_at_once_nothing_is_lost(town: Town) -> None:
    people = [town.person("admin", f"admin-{number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda number: put(people[number], f"/at/{number}x", number).status_code, range(6)))
    assert answers == [200] * 6
    assert data(town.viewer.get(f"{SETTINGS}/at")) == {f"{number}x": number for number in range(6)}
