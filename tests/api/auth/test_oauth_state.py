"""Sign-in with GitHub and Google: whether what comes back is the sign-in that this browser began."""

from __future__ import annotations

from uuid import uuid4

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.auth.provider import Provider
from tests.api.auth.signing_in import Make, both, come_back, consented, start
from tests.api.auth.test_login import AUTH
from tests.api.people import Person, Town, data, its, refusal
from webapp.auth import oauth

TOKEN = {"github": "/login/oauth/access_token", "google": "/token"}

@pytest.fixture
def app(make: Make) -> Flask:
    return make()


@both
def test_a_state_works_once(name: str, client: FlaskClient, provider: Provider, ada: str) -> None:
    went = start(client, name)
    cookie = client.get_cookie("moorage_oauth", path=f"{AUTH}/oauth")
    assert cookie is not None
    assert data(come_back(client, name, provider.consent(went.headers["Location"])))
    client.set_cookie("moorage_oauth", cookie.value, path=f"{AUTH}/oauth")
    again = provider.consent(went.headers["Location"])
    assert refusal(come_back(client, name, again)) == (400, "OAUTH_STATE_INVALID")


@both
def test_a_state_is_spent_by_a_failure_too(name: str, client: FlaskClient, provider: Provider, ada: str) -> None:
    brought = consented(client, name, provider)
    assert refusal(come_back(client, name, {**brought, "code": "guessed"})) == (400, "OAUTH_CODE_REFUSED")
    assert refusal(come_back(client, name, brought)) == (400, "OAUTH_STATE_INVALID")


@both
def test_another_browser_does_not_end_what_this_one_began(
    name: str, app: Flask, client: FlaskClient, provider: Provider, ada: str
) -> None:
    """Else an attacker's link would log somebody into the attacker's account."""
    brought, bare, begun = consented(client, name, provider), app.test_client(), app.test_client()
    assert refusal(come_back(bare, name, brought)) == (400, "OAUTH_STATE_INVALID")
    start(begun, name)
    assert refusal(come_back(begun, name, brought)) == (400, "OAUTH_STATE_INVALID")
    assert data(come_back(client, name, brought))  # and nobody has spent it


@pytest.mark.parametrize(("begun", "ended"), [("github", "google"), ("google", "github")])
def test_what_was_begun_with_one_provider_does_not_end_with_the_other(
    begun: str, ended: str, client: FlaskClient, provider: Provider, ada: str
) -> None:
    brought = consented(client, begun, provider)
    assert refusal(come_back(client, ended, brought)) == (400, "OAUTH_STATE_INVALID")
    assert TOKEN[ended] not in provider.asked


def states(app: Flask, begun: str) -> dict[str, str]:
    secret = its(app).settings.session_secret
    said = jwt.decode(begun, options={"verify_signature": False})
    head, body, _ = begun.split(".")
    return {
        "none": "x",
        "signed by nobody": jwt.encode(said, None, algorithm="none"),
        "without its signature": f"{head}.{body}.",
        "signed as sessions are": jwt.encode(said, secret.reveal(), algorithm="HS256"),
        "past its ten minutes": jwt.encode({**said, "exp": said["exp"] - 601}, oauth._key(secret), algorithm="HS256"),
        "without an end": jwt.encode({**said, "exp": None}, oauth._key(secret), algorithm="HS256"),
    }


@pytest.mark.parametrize("how", ["none", "signed by nobody", "without its signature", "signed as sessions are",
                                 "past its ten minutes", "without an end"])  # fmt: skip
def test_a_state_that_is_altered_or_too_old_ends_nothing(
    how: str, app: Flask, client: FlaskClient, provider: Provider, ada: str
) -> None:
    brought = consented(client, "github", provider)
    altered = {**brought, "state": states(app, brought["state"])[how]}
    assert refusal(come_back(client, "github", altered)) == (400, "OAUTH_STATE_INVALID")
    assert data(come_back(client, "github", brought))


def test_a_state_is_no_bearer_token(client: FlaskClient, provider: Provider, ada: str) -> None:
    state = consented(client, "github", provider)["state"]
    assert refusal(Person(client, state).get(f"{AUTH}/whoami")) == (401, "TOKEN_INVALID")


@both
def test_a_code_of_another_sign_in_is_refused(
    name: str, app: Flask, client: FlaskClient, provider: Provider, ada: str
) -> None:
    """An attacker's code in a victim's browser: its challenge is the attacker's."""
    attackers = consented(app.test_client(), name, provider)["code"]
    brought = {**consented(client, name, provider), "code": attackers}
    assert refusal(come_back(client, name, brought)) == (400, "OAUTH_CODE_REFUSED")


@both
def test_who_says_no_at_the_provider_is_told_so(name: str, client: FlaskClient, provider: Provider) -> None:
    state = consented(client, name, provider)["state"]
    back = come_back(client, name, {"state": state, "error": "access_denied", "error_description": "No."})
    assert refusal(back) == (403, "OAUTH_DENIED")


@both
def test_what_a_callback_lacks_is_named(name: str, client: FlaskClient, provider: Provider) -> None:
    assert refusal(come_back(client, name, {"code": "x"})) == (400, "VALIDATION_ERROR")
    state = consented(client, name, provider)["state"]
    assert refusal(come_back(client, name, {"state": state})) == (400, "VALIDATION_ERROR")


def test_callbacks_are_counted_with_log_ins(make: Make, town: Town) -> None:
    client, where = make(RATE_LIMIT_LOGIN="3").test_client(), {"REMOTE_ADDR": f"test-{uuid4()}"}
    path = f"{AUTH}/oauth/github/callback?state=x&code=y"
    answers = [client.get(path, environ_base=where) for _ in range(3)]
    assert {refusal(answer) for answer in answers} == {(400, "OAUTH_STATE_INVALID")}
    assert refusal(client.get(path, environ_base=where)) == (429, "RATE_LIMITED")
    assert refusal(login_from(client, where)) == (429, "RATE_LIMITED")


def login_from(client: FlaskClient, where: dict[str, str]) -> TestResponse:
    body = {"email": "ada@example.org", "password": "correct horse battery"}
    return client.post(f"{AUTH}/login", json=body, environ_base=where)
