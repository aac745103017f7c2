"""Projects: made, changed, listed and deleted by those who may, and never seen from another tenant."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from tests.api.fleet import key_of
from tests.api.people import Town, data, its, refusal

PATH = "/api/v1/projects"


@pytest.fixture
def town(app: Flask) -> Town:
    return Town.found(app)


def made(town: Town, name: str = "Web shop", **more: Any) -> Any:
    return data(town.admin.post(PATH, {"name": name, **more}), 201)


def test_a_project_is_made_read_changed_and_deleted(town: Town) -> None:
    project = made(town, description="All of it")
    assert project["tenant_id"] == str(town.tenant) and project["created_at"].endswith("Z")
    one = f"{PATH}/{project['id']}"
    assert data(town.viewer.get(one)) == project
    changed = data(town.infra.call(f"PATCH {one}", {"name": "Shop"}))
    assert (changed["name"], changed["description"]) == ("Shop", "All of it")
    assert data(town.admin.call(f"DELETE {one}")) == {"id": project["id"], "deleted": True}
    assert refusal(town.admin.get(one)) == (404, "PROJECT_NOT_FOUND")
    events = {event["event"] for event in data(town.admin.get(f"/api/v1/audit?subject={project['id']}"))}
    assert events == {"project_created", "project_changed", "project_deleted"}


def test_a_project_without_a_description_shows_none(town: Town) -> None:
    assert "description" not in made(town)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": None}, "name"),
        ({"name": "a", "description": "x" * 2001}, "description"),
        ({"name": "a", "owner": "me"}, "owner"),
    ],
)
def test_a_wrong_field_is_named(town: Town, body: dict[str, Any], field: str) -> None:
    answer = town.admin.post(PATH, body)
    assert refusal(answer) == (400, "VALIDATION_ERROR") and list(answer.json["error"]["details"]) == [field]  # type: ignore[index]


def test_a_change_of_nothing_is_refused(town: Town) -> None:
    assert refusal(town.admin.call(f"PATCH {PATH}/{made(town)['id']}", {})) == (400, "VALIDATION_ERROR")


def test_a_name_is_the_tenants_only_one(town: Town) -> None:
    made(town)
    other = made(town, "Other")
    assert refusal(town.admin.post(PATH, {"name": "Web shop"})) == (409, "PROJECT_EXISTS")
    assert refusal(town.admin.call(f"PATCH {PATH}/{other['id']}", {"name": "Web shop"})) == (409, "PROJECT_EXISTS")
    made(Town.found(town.app, "Other tenant"))


def test_of_many_at_once_one_gets_the_name(town: Town) -> None:
    admin = town.admin

    def make(_: int) -> int:
        return town.app.test_client().post(PATH, json={"name": "Race"}, headers=admin.headers).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(make, range(4))) == [201, 409, 409, 409]


def test_the_same_key_makes_one_project(town: Town) -> None:
    answers = [town.admin.post(PATH, {"name": "Once"}, headers={"Idempotency-Key": "k1"}) for _ in range(2)]
    assert answers[0].json == answers[1].json and answers[1].headers["Idempotency-Replayed"] == "true"


def test_lists_are_pages_in_order_and_searched(town: Town) -> None:
    for name in ("Beta", "Alpha", "Gamma"):
        made(town, name)
    answer = town.viewer.get(f"{PATH}?sort=name&order=asc&limit=2")
    assert [one["name"] for one in data(answer)] == ["Alpha", "Beta"]
    assert answer.json is not None and answer.json["meta"] == {"total": 3, "page": 1, "limit": 2}
    assert [one["name"] for one in data(town.viewer.get(f"{PATH}?q=amm"))] == ["Gamma"]


def test_who_may(town: Town) -> None:
    project = made(town)
    for person in (town.member, town.viewer, key_of(town, "records:read")):
        assert refusal(person.post(PATH, {"name": "Mine"})) == (403, "FORBIDDEN")
        assert data(person.get(PATH)) == [project]
    assert key_of(town, "records:write").post(PATH, {"name": "By a key"}).status_code == 201


def test_another_tenants_project_is_not_there(town: Town) -> None:
    one, elsewhere = f"{PATH}/{made(town)['id']}", Town.found(town.app, "Other")
    assert data(elsewhere.admin.get(PATH)) == []
    for line, body in ((f"GET {one}", None), (f"PATCH {one}", {"name": "x"}), (f"DELETE {one}", None)):
        assert refusal(elsewhere.admin.call(line, body)) == (404, "PROJECT_NOT_FOUND")
    assert data(town.admin.get(one))["name"] == "Web shop"


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_who_comes_while_it_is_being_deleted_finds_none(town: Town, method: str) -> None:
    project, admin = made(town), town.admin
    body = {"name": "Shop"} if method == "PATCH" else None
    with ThreadPoolExecutor(1) as pool:
        with its(town.app).database.transaction(town.tenant) as session:
            session.execute(text("DELETE FROM projects WHERE id = :id"), {"id": project["id"]})
            waiting = pool.submit(admin.call, f"{method} {PATH}/{project['id']}", body)
            while not session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                assert not waiting.done(), waiting.result().text
        assert refusal(waiting.result(20)) == (404, "PROJECT_NOT_FOUND")
