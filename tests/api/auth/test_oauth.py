"""Sign-in with GitHub and Google: the way there, and whose account it is that comes back."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from tests.api.auth.provider import CLIENT_ID, CLIENT_SECRET, Account, Provider
from tests.api.auth.signing_in import Make, both, come_back, linked, sign_in, start
from tests.api.auth.test_login import AUTH, holder, resident
from tests.api.people import Town, data, its, refusal
from webapp import create_app
from webapp.audit.service import Actor
from webapp.auth import users
from webapp.settings import Settings
from webapp.tenants import service as tenants


@pytest.fixture
def app(make: Make) -> Flask:
    return make()


@both
def test_the_browser_is_sent_on_with_state_and_challenge_and_keeps_a_cookie_for_itself(
    name: str, client: FlaskClient, provider: Provider
) -> None:
    went = start(client, name)
    address = urlsplit(went.headers["Location"])
    asked = dict(parse_qsl(address.query))
    assert went.status_code == 302
    assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT_ID)
    assert asked["redirect_uri"] == f"http://localhost{AUTH}/oauth/{name}/callback"
    assert asked["code_challenge_method"] == "S256" and re.fullmatch(r"[A-Za-z0-9_-]{43}", asked["code_challenge"])
    assert ("nonce" in asked) is (name == "google")
    assert asked["scope"] == {"github": "user:email", "google": "openid email"}[name]
    assert address.path == {"github": "/login/oauth/authorize", "google": "/authorize"}[name]
    cookie = went.headers["Set-Cookie"]
    word = cookie.partition("=")[2].partition(";")[0]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Lax", "Max-Age=600", f"Path={AUTH}/oauth"))
    assert len(word) >= 43 and word not in went.headers["Location"] and CLIENT_SECRET not in went.headers["Location"]


def test_each_sign_in_has_words_of_its_own(client: FlaskClient) -> None:
    asked = [dict(parse_qsl(urlsplit(start(client, "google").headers["Location"]).query)) for _ in range(3)]
    for word in ("state", "nonce", "code_challenge"):
        assert len({one[word] for one in asked}) == 3


def test_behind_tls_the_provider_is_told_the_public_address_and_the_cookie_is_secure(make: Make) -> None:
    went = start(make(PUBLIC_URL="https://moorage.example.org").test_client(), "github")
    asked = dict(parse_qsl(urlsplit(went.headers["Location"]).query))
    assert asked["redirect_uri"] == f"https://moorage.example.org{AUTH}/oauth/github/callback"
    assert "Secure" in went.headers["Set-Cookie"]


@pytest.mark.parametrize("where", ["https://evil.example.org", "//evil.example.org", "/console"])
def test_a_redirect_that_is_asked_for_is_not_followed(
    where: str, client: FlaskClient, provider: Provider, ada: str
) -> None:
    went = start(client, "github", f"?redirect={where}")
    assert went.headers["Location"].startswith(provider.url) and "evil" not in went.headers["Location"]
    back = come_back(client, "github", {**provider.consent(went.headers["Location"]), "redirect": where})
    assert data(back)["expires_in"] == 900 and "Location" not in back.headers


@pytest.mark.parametrize("name", ["gitlab", "github", "google"])
@pytest.mark.parametrize("end", ["start", "callback?state=x&code=y"])
def test_who_is_not_configured_is_not_there(name: str, end: str, settings: Settings, make: Make) -> None:
    app = create_app(settings) if name != "gitlab" else make()
    assert refusal(app.test_client().get(f"{AUTH}/oauth/{name}/{end}")) == (404, "NOT_FOUND")
    app.extensions["moorage.bus"].stop()


@both
def test_a_verified_address_that_a_user_has_logs_in_and_links_the_account(
    name: str, app: Flask, client: FlaskClient, provider: Provider, town: Town, ada: str
) -> None:
    back = sign_in(client, name, provider)
    tokens = data(back)
    assert set(tokens) == {"access_token", "refresh_token", "expires_in"}
    who = data(holder(client, tokens).get(f"{AUTH}/whoami"))
    assert (who["email"], who["roles"], who["tenant_id"]) == (ada, ["infra"], str(town.tenant))
    assert data(client.post(f"{AUTH}/refresh", json={"refresh_token": tokens["refresh_token"]}))
    assert linked(app, provider) == [f"{name}({provider.url}):{provider.account.number}"]
    [link] = data(town.admin.get("/api/v1/audit?event=identity_linked"))
    assert (link["actor"], link["details"]["identity"]) == (who["uid"], linked(app, provider)[0])
    assert len(data(town.admin.get("/api/v1/audit?event=login_succeeded"))) == 1
    assert "Max-Age=0" in back.headers["Set-Cookie"]


@both
def test_an_account_that_is_linked_stays_the_users_whatever_its_address_becomes(
    name: str, client: FlaskClient, provider: Provider, town: Town, ada: str
) -> None:
    data(sign_in(client, name, provider))
    for address, verified in ((resident(town), True), (ada, False), ("new@example.org", True)):
        provider.account.email, provider.account.verified = address, verified
        who = data(holder(client, data(sign_in(client, name, provider))).get(f"{AUTH}/whoami"))
        assert who["email"] == ada
    assert len(data(town.admin.get("/api/v1/audit?event=identity_linked"))) == 1


@both
def test_capitals_in_an_address_make_no_difference(
    name: str, client: FlaskClient, provider: Provider, ada: str
) -> None:
    provider.account.email = ada.upper()
    assert data(sign_in(client, name, provider))


@both
def test_an_address_that_the_provider_has_not_verified_proves_nothing(
    name: str, app: Flask, client: FlaskClient, provider: Provider, town: Town, ada: str
) -> None:
    provider.account.verified = False
    assert refusal(sign_in(client, name, provider)) == (403, "OAUTH_EMAIL_UNVERIFIED")
    assert linked(app, provider) == []
    [event] = data(town.admin.get("/api/v1/audit?event=login_failed"))
    assert (event["result"], event["reason"]) == ("denied", "OAUTH_EMAIL_UNVERIFIED")


@pytest.mark.parametrize("said", ["true", 1, None])
def test_verified_is_what_google_calls_true_and_nothing_like_it(
    said: object, client: FlaskClient, provider: Provider, ada: str
) -> None:
    provider.says["email_verified"] = said
    assert refusal(sign_in(client, "google", provider)) == (403, "OAUTH_EMAIL_UNVERIFIED")


def listing(address: str, *, primary: bool = False, verified: bool = True) -> dict[str, Any]:
    return {"email": address, "primary": primary, "verified": verified, "visibility": None}


def test_of_githubs_addresses_only_the_primary_one_counts(client: FlaskClient, provider: Provider, ada: str) -> None:
    provider.account.emails = [listing("other@example.org", primary=True), listing(ada)]
    assert refusal(sign_in(client, "github", provider)) == (403, "OAUTH_NO_ACCOUNT")
    provider.account.emails = [listing("other@example.org"), listing(ada, primary=True, verified=False)]
    assert refusal(sign_in(client, "github", provider)) == (403, "OAUTH_EMAIL_UNVERIFIED")
    provider.account.emails = [listing("other@example.org"), listing(ada)]
    assert refusal(sign_in(client, "github", provider)) == (403, "OAUTH_EMAIL_UNVERIFIED")
    provider.account.emails = []
    assert refusal(sign_in(client, "github", provider)) == (403, "OAUTH_EMAIL_UNVERIFIED")
    provider.account.emails = [listing("other@example.org"), listing(ada, primary=True)]
    assert data(sign_in(client, "github", provider))


@both
def test_where_no_user_has_the_address_none_is_made(
    name: str, app: Flask, client: FlaskClient, provider: Provider
) -> None:
    provider.account.email = f"{uuid4()}@example.org"
    assert refusal(sign_in(client, name, provider)) == (403, "OAUTH_NO_ACCOUNT")
    with its(app).database.transaction() as session:
        assert users.by_email(session, provider.account.email) is None


@both
def test_a_user_who_never_verified_the_address_is_not_linked(
    name: str, app: Flask, client: FlaskClient, provider: Provider, town: Town
) -> None:
    """Else whoever registered somebody's address before them would share their account."""
    provider.account.email = resident(town, verified=False)
    assert refusal(sign_in(client, name, provider)) == (403, "OAUTH_NO_ACCOUNT")
    assert linked(app, provider) == []


def test_letters_that_look_like_others_are_others(
    app: Flask, client: FlaskClient, provider: Provider, town: Town
) -> None:
    """The Kelvin sign is a small k in lower case."""
    number, kelvin = uuid4(), "\u212a"
    assert kelvin.lower() == "k"
    with its(app).database.transaction(town.tenant) as session:
        user = users.create(session, email=f"k{number}@example.org", password=None, verified=True)
        by = Actor(town.tenant, "test", "cli")
        tenants.members.add(session, by, user_id=user.id, role="admin", email=user.email)
    provider.account.email = f"{kelvin}{number}@example.org"
    assert refusal(sign_in(client, "github", provider)) == (403, "OAUTH_NO_ACCOUNT")
    provider.account.email = f"k{number}@example.org"
    assert data(sign_in(client, "github", provider))


@both
def test_a_linked_user_who_is_unverified_again_may_only_verify(
    name: str, app: Flask, client: FlaskClient, provider: Provider, ada: str
) -> None:
    data(sign_in(client, name, provider))
    with its(app).database.transaction() as session:
        user = users.by_email(session, ada)
        assert user is not None
        user.verified_at = None
    assert refusal(sign_in(client, name, provider)) == (403, "EMAIL_UNVERIFIED")


def test_numbers_of_one_provider_are_not_those_of_another(
    make: Make, client: FlaskClient, provider: Provider, town: Town, ada: str
) -> None:
    data(sign_in(client, "github", provider))
    stranger = Account(provider.account.number, resident(town))
    with Provider(account=stranger) as enterprise:
        elsewhere = make(OAUTH_GITHUB_URL=enterprise.url, OAUTH_GITHUB_API_URL=f"{enterprise.url}/api").test_client()
        tokens = data(sign_in(elsewhere, "github", enterprise))
    assert data(holder(elsewhere, tokens).get(f"{AUTH}/whoami"))["email"] == stranger.email


def test_who_belongs_to_two_tenants_chooses_at_the_start(
    app: Flask, client: FlaskClient, provider: Provider, elsewhere: Town, ada: str
) -> None:
    with its(app).database.transaction() as session:
        user = users.by_email(session, ada)
        assert user is not None
        user_id = user.id
    with its(app).database.transaction(elsewhere.tenant) as session:
        by = Actor(elsewhere.tenant, "test", "cli")
        tenants.members.add(session, by, user_id=user_id, role="viewer", email=ada)
    assert refusal(sign_in(client, "github", provider)) == (400, "TENANT_REQUIRED")
    tokens = data(sign_in(client, "github", provider, f"?tenant_id={elsewhere.tenant}"))
    assert data(holder(client, tokens).get(f"{AUTH}/whoami"))["tenant_id"] == str(elsewhere.tenant)
    assert refusal(sign_in(client, "github", provider, f"?tenant_id={uuid4()}")) == (400, "TENANT_REQUIRED")


def test_a_second_factor_of_ours_is_not_asked_for(
    app: Flask, client: FlaskClient, provider: Provider, ada: str
) -> None:
    """The provider's own is the second factor (docs/how-to/outside-sign-in.md)."""
    with its(app).database.transaction() as session:
        assert users.by_email(session, ada)
        session.execute(text("UPDATE auth_users SET totp_sealed = 'x', totp_confirmed_at = now()"))
    assert data(sign_in(client, "google", provider))
