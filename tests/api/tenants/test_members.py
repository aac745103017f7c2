"""Members and their roles: changed by admins only, in force at once, and never without an admin left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask

from tests.api.people import Person, Town, data, its, refusal
from webapp.auth import users

PATH = "/api/v1/members"


@pytest.fixture
def town(app: Flask) -> Town:
    return Town.found(app)


def known(town: Town, *, verified: bool = True) -> tuple[str, str]:
    """A user of this installation: id and e-mail address."""
    email = f"ada-{uuid4().hex}@example.org"
    with its(town.app).database.transaction() as session:
        made = users.create(session, email=email, password="correct horse battery", verified=verified)
        return made.id, email


def logged_in(town: Town, email: str) -> Person:
    client = town.app.test_client()
    answer = client.post("/api/v1/auth/login", json={"email": email, "password": "correct horse battery"})
    return Person(client, data(answer)["access_token"])


def add(town: Town, **body: Any) -> Any:
    return data(town.admin.post(PATH, body), 201)


def test_a_user_is_added_by_address_logs_in_and_has_the_role(town: Town) -> None:
    user_id, email = known(town)
    member = add(town, email=email.upper(), role="member")
    assert (member["user_id"], member["email"], member["role"]) == (user_id, email, "member")
    assert data(logged_in(town, email).get("/api/v1/auth/whoami"))["roles"] == ["member"]


def test_a_change_of_role_is_in_force_with_the_next_request(town: Town) -> None:
    user_id, email = known(town)
    add(town, email=email, role="infra")
    person = logged_in(town, email)
    assert person.get(PATH).status_code == 200
    changed = data(town.admin.call(f"PATCH {PATH}/{user_id}", {"role": "viewer"}))
    assert changed["role"] == "viewer" and changed["updated_at"] > changed["created_at"]
    assert refusal(person.get(PATH)) == (403, "FORBIDDEN")
    [event] = data(town.admin.get("/api/v1/audit?event=role_changed"))
    assert event["details"] == {"from": "infra", "to": "viewer"} and event["actor"] == "admin-1"


def test_who_is_taken_out_has_a_dead_token(town: Town) -> None:
    user_id, email = known(town)
    add(town, email=email, role="member")
    person = logged_in(town, email)
    assert data(town.admin.call(f"DELETE {PATH}/{user_id}")) == {"id": user_id, "deleted": True}
    assert refusal(person.get("/api/v1/auth/whoami")) == (401, "TOKEN_INVALID")
    assert refusal(town.admin.call(f"DELETE {PATH}/{user_id}")) == (404, "MEMBER_NOT_FOUND")


def test_who_is_taken_out_loses_what_the_command_line_has_issued_too(town: Town) -> None:
    add(town, user_id="ada", role="member")
    issued, other = town.person("viewer", "ada"), town.viewer
    data(town.admin.call(f"DELETE {PATH}/ada"))
    assert refusal(issued.get("/api/v1/auth/whoami")) == (401, "TOKEN_INVALID")
    assert data(other.get("/api/v1/auth/whoami"))


def test_the_last_admin_stays(town: Town) -> None:
    add(town, user_id="boss", role="admin")
    last = (409, "LAST_ADMIN")
    assert refusal(town.admin.call(f"DELETE {PATH}/boss")) == last
    assert refusal(town.admin.call(f"PATCH {PATH}/boss", {"role": "member"})) == last
    add(town, user_id="second", role="admin")
    assert data(town.admin.call(f"PATCH {PATH}/boss", {"role": "member"}))["role"] == "member"


def test_of_two_admins_who_are_removed_at_once_one_stays(town: Town) -> None:
    for name in ("one", "two"):
        add(town, user_id=name, role="admin")
    headers = town.admin.headers

    def remove(name: str) -> int:
        return town.app.test_client().delete(f"{PATH}/{name}", headers=headers).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(remove, ("one", "two"))) == [200, 409]


@pytest.mark.parametrize("verified", [False, None])
def test_whoever_has_not_verified_an_address_is_not_found_by_it(town: Town, verified: bool | None) -> None:
    email = "nobody@example.org" if verified is None else known(town, verified=verified)[1]
    assert refusal(town.admin.post(PATH, {"email": email, "role": "member"})) == (404, "USER_NOT_FOUND")


def test_nobody_is_a_member_twice(town: Town) -> None:
    add(town, user_id="ada", role="member")
    assert refusal(town.admin.post(PATH, {"user_id": "ada", "role": "admin"})) == (409, "ALREADY_MEMBER")


@pytest.mark.parametrize(
    "body",
    [
        {"role": "member"},
        {"user_id": "a", "email": "a@example.org", "role": "member"},
        {"user_id": "a", "role": "owner"},
        {"email": "nonsense", "role": "member"},
        {"user_id": "a"},
        {"user_id": " a", "role": "member"},
        {"user_id": "a\n", "role": "member"},
    ],
)
def test_bodies_that_are_not_as_they_should_be(town: Town, body: dict[str, Any]) -> None:
    assert refusal(town.admin.post(PATH, body)) == (400, "VALIDATION_ERROR")


def test_members_are_listed_for_those_who_manage_and_by_role(town: Town) -> None:
    add(town, user_id="ada", role="member")
    add(town, user_id="bob", role="viewer")
    assert [one["user_id"] for one in data(town.infra.get(f"{PATH}?role=viewer"))] == ["bob"]
    assert [one["user_id"] for one in data(town.admin.get(f"{PATH}?sort=user_id&order=asc"))] == ["ada", "bob"]
    assert refusal(town.member.get(PATH)) == (403, "FORBIDDEN")


def test_another_tenants_members_are_not_there(town: Town) -> None:
    add(town, user_id="ada", role="member")
    elsewhere = Town.found(town.app, "Other")
    assert data(elsewhere.admin.get(PATH)) == []
    assert refusal(elsewhere.admin.call(f"PATCH {PATH}/ada", {"role": "admin"})) == (404, "MEMBER_NOT_FOUND")
    assert refusal(elsewhere.admin.call(f"DELETE {PATH}/ada")) == (404, "MEMBER_NOT_FOUND")


def test_a_tenant_knows_its_name_and_an_admin_changes_it(town: Town) -> None:
    mine = "/api/v1/tenants/current"
    assert UUID(data(town.viewer.get(mine))["id"]) == town.tenant
    assert data(town.admin.call(f"PATCH {mine}", {"name": " Acme Ltd "}))["name"] == "Acme Ltd"
    assert data(town.member.get(mine))["name"] == "Acme Ltd"
    assert refusal(town.infra.call(f"PATCH {mine}", {"name": "x"})) == (403, "FORBIDDEN")
    assert refusal(town.admin.call(f"PATCH {mine}", {"name": "a\nb"})) == (400, "VALIDATION_ERROR")
