"""Log-ins: what they need, how they are renewed, and how they end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api.people import Person, Town, data, its, refusal
from webapp import create_app
from webapp.audit.service import Actor
from webapp.auth import users
from webapp.settings import Settings
from webapp.tenants import service as tenants

AUTH = "/api/v1/auth"
PASSWORD = "correct horse battery"


def resident(town: Town, role: str = "member", *, verified: bool = True) -> str:
    """The e-mail address of a new user of the tenant."""
    email = f"{uuid4()}@example.org"
    with its(town.app).database.transaction(town.tenant) as session:
        user = users.create(session, email=email, password=PASSWORD, verified=verified)
        by = Actor(town.tenant, "test", "cli")
        tenants.members.add(session, by, user_id=user.id, role=role, email=email)
    return email


def login(client: FlaskClient, email: str, password: str = PASSWORD, **more: Any) -> Any:
    return client.post(f"{AUTH}/login", json={"email": email, "password": password, **more})


def renewed(client: FlaskClient, token: str) -> Any:
    return client.post(f"{AUTH}/refresh", json={"refresh_token": token})


def holder(client: FlaskClient, tokens: dict[str, Any]) -> Person:
    return Person(client, tokens["access_token"])


def test_a_log_in_gives_tokens_with_the_members_role(town: Town, client: FlaskClient) -> None:
    email = resident(town, "infra")
    tokens = data(login(client, email.upper()))
    assert tokens["expires_in"] == 900
    who = data(holder(client, tokens).get(f"{AUTH}/whoami"))
    assert (who["email"], who["roles"], who["tenant_id"]) == (email, ["infra"], str(town.tenant))


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(town: Town, client: FlaskClient) -> None:
    wrong, unknown = login(client, resident(town), "not the password"), login(client, "nobody@example.org")
    assert refusal(wrong) == refusal(unknown) == (401, "INVALID_CREDENTIALS")
    assert wrong.json == unknown.json


def test_an_unverified_user_does_not_get_in(town: Town, client: FlaskClient) -> None:
    email = resident(town, verified=False)
    assert refusal(login(client, email)) == (403, "EMAIL_UNVERIFIED")
    assert refusal(login(client, email, "not the password")) == (401, "INVALID_CREDENTIALS")


def test_log_ins_are_audited_also_the_refused_ones(town: Town, client: FlaskClient) -> None:
    email = resident(town)
    login(client, email, "not the password")
    data(login(client, email))
    [failed] = data(town.admin.get("/api/v1/audit?event=login_failed"))
    assert (failed["result"], failed["reason"]) == ("denied", "INVALID_CREDENTIALS")
    assert len(data(town.admin.get("/api/v1/audit?event=login_succeeded"))) == 1


def test_who_belongs_to_two_tenants_chooses_one_of_them(town: Town, elsewhere: Town, client: FlaskClient) -> None:
    email = resident(town)
    with its(town.app).database.transaction() as session:
        user = users.by_email(session, email)
        assert user is not None
        user_id = user.id
    with its(town.app).database.transaction(elsewhere.tenant) as session:
        by = Actor(elsewhere.tenant, "test", "cli")
        tenants.members.add(session, by, user_id=user_id, role="viewer", email=email)
    assert refusal(login(client, email)) == (400, "TENANT_REQUIRED")
    assert refusal(login(client, email, tenant_id=str(uuid4()))) == (400, "TENANT_REQUIRED")
    chosen = data(login(client, email, tenant_id=str(elsewhere.tenant)))
    assert data(holder(client, chosen).get(f"{AUTH}/whoami"))["roles"] == ["viewer"]


def test_a_refresh_token_works_once_and_its_second_use_ends_the_family(town: Town, client: FlaskClient) -> None:
    first = data(login(client, resident(town)))
    second = data(renewed(client, first["refresh_token"]))
    assert holder(client, second).get(f"{AUTH}/verify").status_code == 200
    assert refusal(renewed(client, first["refresh_token"])) == (401, "TOKEN_INVALID")
    assert refusal(renewed(client, second["refresh_token"])) == (401, "TOKEN_INVALID")
    assert refusal(holder(client, second).get(f"{AUTH}/verify")) == (401, "TOKEN_INVALID")


@pytest.mark.parametrize("token", ["x", "mr_AAAA", "mk_" + "A" * 43 + ".x", "mr_" + "A" * 43 + ".x"])
def test_what_is_no_refresh_token_renews_nothing(client: FlaskClient, token: str) -> None:
    assert refusal(renewed(client, token)) == (401, "TOKEN_INVALID")


def test_a_refresh_token_is_no_bearer(town: Town, client: FlaskClient) -> None:
    tokens = data(login(client, resident(town)))
    assert refusal(Person(client, tokens["refresh_token"]).get(f"{AUTH}/verify")) == (401, "TOKEN_INVALID")


def test_logging_out_ends_this_session_and_not_the_other(town: Town, client: FlaskClient) -> None:
    email = resident(town)
    one, other = data(login(client, email)), data(login(client, email))
    data(holder(client, one).post(f"{AUTH}/logout"))
    assert refusal(holder(client, one).get(f"{AUTH}/verify")) == (401, "TOKEN_INVALID")
    assert refusal(renewed(client, one["refresh_token"])) == (401, "TOKEN_INVALID")
    assert data(holder(client, other).post(f"{AUTH}/logout-all")) == {"ended": 1}
    assert refusal(holder(client, other).get(f"{AUTH}/verify")) == (401, "TOKEN_INVALID")


def test_sessions_come_in_pages_the_newest_first(town: Town, client: FlaskClient) -> None:
    email = resident(town)
    people = [holder(client, data(login(client, email))) for _ in range(3)]
    answer = people[0].get(f"{AUTH}/sessions?limit=2")
    assert answer.json is not None and answer.json["meta"] == {"total": 3, "page": 1, "limit": 2}
    [third] = data(people[0].get(f"{AUTH}/sessions?limit=2&page=2"))
    assert third["created_at"] <= min(one["created_at"] for one in data(answer))
    assert refusal(people[0].get(f"{AUTH}/sessions?limit=none")) == (400, "VALIDATION_ERROR")


def test_sessions_are_ones_own_and_an_admin_ends_anybodys(town: Town, elsewhere: Town, client: FlaskClient) -> None:
    mine, others = (holder(client, data(login(client, resident(town)))) for _ in range(2))
    [session] = data(mine.get(f"{AUTH}/sessions"))
    path = f"DELETE {AUTH}/sessions/{session['id']}"
    for stranger in (others, town.infra, elsewhere.admin):
        assert refusal(stranger.call(path)) == (404, "SESSION_NOT_FOUND")
    assert "revoked_at" in data(town.admin.call(path))
    assert refusal(mine.get(f"{AUTH}/verify")) == (401, "TOKEN_INVALID")


def test_a_changed_role_is_in_force_at_once(town: Town, client: FlaskClient) -> None:
    who = holder(client, data(login(client, resident(town, "viewer"))))
    uid = data(who.get(f"{AUTH}/whoami"))["uid"]
    by = Actor(town.tenant, "test", "cli")
    with its(town.app).database.transaction(town.tenant) as session:
        tenants.members.change(session, by, uid, "admin")
    assert data(who.get(f"{AUTH}/whoami"))["roles"] == ["admin"]
    with its(town.app).database.transaction(town.tenant) as session, pytest.raises(tenants.members.LastAdmin):
        tenants.members.remove(session, by, uid)


def test_guessing_locks_the_address_out(settings: Settings, town: Town) -> None:
    guarded: Flask = create_app(replace(settings, rate_limit_login=100))
    client, email = guarded.test_client(), resident(town)
    where = {"REMOTE_ADDR": f"test-{uuid4()}"}
    body = {"email": email, "password": "not the password"}
    answers = [client.post(f"{AUTH}/login", json=body, environ_base=where) for _ in range(7)]
    assert [answer.status_code for answer in answers[:5]] == [401] * 5
    assert 429 in {answer.status_code for answer in answers[5:]}
