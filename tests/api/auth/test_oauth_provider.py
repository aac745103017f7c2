"""Sign-in with GitHub and Google: what a provider says wrongly, or does not say."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api.auth.provider import DISCOVERY, Key, Provider
from tests.api.auth.signing_in import Make, both, come_back, consented, linked, sign_in, start
from tests.api.auth.test_login import login
from tests.api.people import data, its, refusal


@pytest.fixture
def app(make: Make) -> Flask:
    return make()


@pytest.mark.parametrize(
    "says",
    [
        {"nonce": "another"}, {"nonce": None}, {"iss": "https://elsewhere.example.org"}, {"aud": "another-client"},
        {"azp": "another-client"}, {"exp": 1_000_000_000}, {"sub": None}, {"iat": None},
    ],
    ids=lambda says: " ".join(f"{name}: {value}" for name, value in says.items()),
)  # fmt: skip
def test_an_id_token_for_another_occasion_is_refused(
    says: dict[str, Any], app: Flask, client: FlaskClient, provider: Provider, ada: str
) -> None:
    provider.says = says
    assert refusal(sign_in(client, "google", provider)) == (502, "OAUTH_PROVIDER_ERROR")
    assert linked(app, provider) == []


def test_an_id_token_that_another_key_signed_is_refused(client: FlaskClient, provider: Provider, ada: str) -> None:
    stranger = Key.new()
    data(sign_in(client, "google", provider))
    shown, provider.keys = provider.keys, [Key(provider.keys[0].kid, "ES256", stranger.private)]
    brought = consented(client, "google", provider)
    made = provider.redeem

    def redeem(form: dict[str, str]) -> Any:
        tokens = made(form)
        provider.keys = shown  # what signs is not what is published
        return tokens

    provider.redeem = redeem  # type: ignore[method-assign]
    assert refusal(come_back(client, "google", brought)) == (502, "OAUTH_PROVIDER_ERROR")


def test_googles_keys_may_rotate(client: FlaskClient, provider: Provider, ada: str) -> None:
    for algorithm in ("RS256", "ES256", "RS256"):
        provider.rotate(algorithm)
        assert data(sign_in(client, "google", provider))
        its(client.application).providers["google"]._keys[f"{provider.url}/keys"]._set._renewed_at = float("-inf")  # type: ignore[attr-defined]


@both
def test_a_wrong_client_secret_is_the_operators_matter(
    name: str, make: Make, provider: Provider, ada: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client = make(**{f"{name.upper()}_CLIENT_SECRET": "not the client secret"}).test_client()
    assert refusal(sign_in(client, name, provider)) == (502, "OAUTH_PROVIDER_ERROR")
    lines = capsys.readouterr().err
    assert re.search(r'"a sign-in provider failed".*client', lines) and "not the client secret" not in lines


BREAKS = [
    ("github", "/login/oauth/access_token"), ("github", "/api/user"), ("github", "/api/user/emails"),
    ("google", "/token"), ("google", "/keys"), ("google", DISCOVERY),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path"), BREAKS)
@pytest.mark.parametrize("how", [302, 500])
def test_a_provider_that_fails_is_502_and_links_nothing(
    name: str, path: str, how: int, app: Flask, make: Make, provider: Provider, ada: str
) -> None:
    client = make().test_client()
    if path == DISCOVERY:
        provider.broken[path] = how
        assert refusal(start(client, name)) == (502, "OAUTH_PROVIDER_ERROR")
    else:
        brought = consented(client, name, provider)
        provider.broken[path] = how
        assert refusal(come_back(client, name, brought)) == (502, "OAUTH_PROVIDER_ERROR")
    assert linked(app, provider) == []


@both
def test_a_provider_that_is_down_is_502(name: str, client: FlaskClient, provider: Provider, ada: str) -> None:
    brought = consented(client, name, provider)
    provider.down()
    assert refusal(come_back(client, name, brought)) == (502, "OAUTH_PROVIDER_ERROR")


def test_a_silent_provider_is_not_waited_for_longer_than_five_seconds(
    client: FlaskClient, provider: Provider, ada: str
) -> None:
    brought = consented(client, "github", provider)
    provider.broken["/login/oauth/access_token"] = 8.0
    assert refusal(come_back(client, "github", brought)) == (502, "OAUTH_PROVIDER_ERROR")


def test_a_discovery_document_of_another_issuer_is_none(
    make: Make, client: FlaskClient, provider: Provider
) -> None:
    other = make(OAUTH_GOOGLE_ISSUER=f"{provider.url}/").test_client()
    assert refusal(start(other, "google")) == (502, "OAUTH_PROVIDER_ERROR")
    assert start(client, "google").status_code == 302


def test_the_password_still_works_beside_it(client: FlaskClient, provider: Provider, ada: str) -> None:
    data(sign_in(client, "github", provider))
    assert data(login(client, ada))
