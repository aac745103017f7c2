"""Registering by mail, and passwords: through the product's own worker tasks and a mail server that catches it all."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from tests.api.auth.post import Post
from tests.api.auth.test_login import AUTH, PASSWORD, holder, login, resident
from tests.api.people import Town, data, its, refusal
from webapp import create_app
from webapp.auth import jobs
from webapp.jobs import rounds
from webapp.settings import Settings

NEW = "another horse battery"


@pytest.fixture
def post(environment: dict[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Post]:
    with Post() as caught:
        for name, value in (environment | caught.variables).items():
            monkeypatch.setenv(name, value)
        rounds.database.cache_clear()
        yield caught
        rounds.database().engine.dispose()
        rounds.database.cache_clear()


@pytest.fixture
def open_app(post: Post) -> Iterator[Flask]:
    made = create_app(Settings.load())
    yield made
    made.extensions["moorage.bus"].stop()
    its(made).database.engine.dispose()


@pytest.fixture
def client(open_app: Flask) -> FlaskClient:
    return open_app.test_client()


def deliver(app: Flask) -> int:
    """Run what waits in the queue for the mail task; how many."""
    taken = text("DELETE FROM procrastinate_jobs WHERE task_name = 'auth.mail' RETURNING args")
    with its(app).database.transaction() as session:
        waiting = list(session.scalars(taken))
    for args in waiting:
        jobs.write(**args)
    return len(waiting)


def fresh() -> str:
    return f"{secrets.token_hex(6)}@example.org"


def registered(client: FlaskClient, app: Flask, email: str) -> None:
    body = {"email": email, "password": PASSWORD, "name": "Ada"}
    assert data(client.post(f"{AUTH}/register", json=body), 202) == {}
    assert deliver(app) == 1


def test_who_registers_and_verifies_has_a_tenant_and_logs_in(client: FlaskClient, open_app: Flask, post: Post) -> None:
    email = fresh()
    registered(client, open_app, email.upper())
    assert post.letters[-1]["To"] == email and post.letters[-1]["Subject"] == "Confirm your e-mail address"
    assert refusal(login(client, email)) == (403, "EMAIL_UNVERIFIED")
    made = data(client.post(f"{AUTH}/verify-email", json={"token": post.token(), "tenant_name": "Ada Ltd"}))
    person = holder(client, data(login(client, email)))
    who = data(person.get(f"{AUTH}/whoami"))
    assert (who["roles"], who["tenant_id"]) == (["admin"], made["tenant_id"])
    assert data(person.get("/api/v1/tenants/current"))["name"] == "Ada Ltd"


def test_a_known_address_gets_the_same_answer_and_a_letter_that_says_so(
    client: FlaskClient, open_app: Flask, post: Post, town: Town
) -> None:
    email = resident(town)
    registered(client, open_app, email)
    assert post.letters[-1]["Subject"] == "You are registered already"
    assert login(client, email).status_code == 200  # with the password that it had


def test_a_token_works_once_and_the_last_one_only(client: FlaskClient, open_app: Flask, post: Post) -> None:
    email = fresh()
    registered(client, open_app, email)
    first = post.token()
    assert client.post(f"{AUTH}/verify-email/resend", json={"email": email}).status_code == 202
    assert deliver(open_app) == 1
    used = (400, "MAIL_TOKEN_INVALID")
    assert refusal(client.post(f"{AUTH}/verify-email", json={"token": first})) == used
    assert refusal(client.post(f"{AUTH}/password/reset", json={"token": post.token(), "password": NEW})) == used
    assert client.post(f"{AUTH}/verify-email", json={"token": post.token()}).status_code == 200
    assert refusal(client.post(f"{AUTH}/verify-email", json={"token": post.token()})) == used
    client.post(f"{AUTH}/verify-email/resend", json={"email": email})
    assert deliver(open_app) == 0


def test_a_forgotten_password_is_chosen_anew_and_all_sessions_end(
    client: FlaskClient, open_app: Flask, post: Post, town: Town
) -> None:
    email = resident(town)
    before = holder(client, data(login(client, email)))
    for address in (email, "nobody@example.org"):
        assert data(client.post(f"{AUTH}/password/forgot", json={"email": address}), 202) == {}
    assert deliver(open_app) == 1
    weak = client.post(f"{AUTH}/password/reset", json={"token": post.token(), "password": "short"})
    assert refusal(weak) == (400, "PASSWORD_REFUSED")
    data(client.post(f"{AUTH}/password/reset", json={"token": post.token(), "password": NEW}))
    assert refusal(before.get(f"{AUTH}/whoami")) == (401, "TOKEN_INVALID")
    assert refusal(login(client, email)) == (401, "INVALID_CREDENTIALS")
    assert login(client, email, NEW).status_code == 200
    assert deliver(open_app) == 1 and post.letters[-1]["Subject"] == "Your password was changed"
    assert data(town.admin.get("/api/v1/audit?event=password_reset"))


def test_an_old_token_is_worth_nothing(client: FlaskClient, open_app: Flask, post: Post) -> None:
    email = fresh()
    registered(client, open_app, email)
    with its(open_app).database.transaction(email=email) as session:
        user = session.scalar(text("SELECT id FROM auth_users"))
    with its(open_app).database.transaction(sub=user) as session:
        session.execute(text("UPDATE auth_mail_tokens SET expires_at = now()"))
    assert refusal(client.post(f"{AUTH}/verify-email", json={"token": post.token()})) == (400, "MAIL_TOKEN_INVALID")


def test_a_changed_password_ends_the_other_sessions_only(client: FlaskClient, open_app: Flask, town: Town) -> None:
    email = resident(town)
    here, there = (holder(client, data(login(client, email))) for _ in range(2))
    wrong = here.post(f"{AUTH}/password/change", {"current_password": "no", "password": NEW})
    assert refusal(wrong) == (401, "INVALID_CREDENTIALS")
    data(here.post(f"{AUTH}/password/change", {"current_password": PASSWORD, "password": NEW}))
    assert here.get(f"{AUTH}/whoami").status_code == 200
    assert refusal(there.get(f"{AUTH}/whoami")) == (401, "TOKEN_INVALID")
    assert login(client, email, NEW).status_code == 200


def test_no_token_is_kept_or_queued(client: FlaskClient, open_app: Flask, post: Post) -> None:
    email = fresh()
    client.post(f"{AUTH}/register", json={"email": email, "password": PASSWORD})
    with its(open_app).database.transaction() as session:
        [args] = session.scalars(text("SELECT args FROM procrastinate_jobs WHERE task_name = 'auth.mail'"))
    assert set(args) == {"user_id", "kind", "request_id"}
    deliver(open_app)
    with its(open_app).database.transaction(sub=args["user_id"]) as session:
        rows = str(session.scalars(text("SELECT t::text FROM auth_mail_tokens t")).all())
    assert rows and post.token() not in rows


@pytest.mark.parametrize("path", ["register", "verify-email/resend", "password/forgot"])
def test_without_a_mail_server_it_is_said(
    path: str, environment: dict[str, str], settings: Settings
) -> None:
    app = create_app(Settings.parse(environment | {"REGISTRATION_ENABLED": "true"}))
    body = {"email": fresh()} | ({"password": PASSWORD} if path == "register" else {})
    assert refusal(app.test_client().post(f"{AUTH}/{path}", json=body)) == (503, "MAIL_NOT_CONFIGURED")
    app.extensions["moorage.bus"].stop()


def test_nobody_registers_where_that_is_off(app: Flask) -> None:
    answer = app.test_client().post(f"{AUTH}/register", json={"email": fresh(), "password": PASSWORD})
    assert refusal(answer) == (403, "REGISTRATION_DISABLED")


def test_what_has_had_its_time_is_forgotten(client: FlaskClient, open_app: Flask, post: Post, town: Town) -> None:
    email = resident(town)
    data(login(client, email))
    with its(open_app).database.transaction(town.tenant) as session:
        session.execute(text("UPDATE auth_refresh_tokens SET expires_at = now() - interval '1 s'"))
        session.execute(text("UPDATE auth_sessions SET expires_at = now() - interval '31 d' WHERE kind = 'login'"))
    jobs.sweep(0)
    with its(open_app).database.transaction(town.tenant) as session:
        assert session.scalar(text("SELECT count(*) FROM auth_refresh_tokens")) == 0
        assert session.scalar(text("SELECT count(*) FROM auth_sessions WHERE kind = 'login'")) == 0
