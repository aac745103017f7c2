"""Tokens of an outside issuer: which count, and whom they stand for."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import jwt
import orjson
import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api.auth.outside import SUBJECT, by_hmac, claims, outside, token
from tests.api.auth.provider import Key, Provider
from tests.api.people import Person, Town, data, its, refusal
from webapp import create_app
from webapp.audit.service import Actor
from webapp.errors import TokenInvalid
from webapp.settings import Settings, SettingsError
from webapp.tenants import service as tenants

WHOAMI = "/api/v1/auth/whoami"
SHARED = "a secret that GoTrue and we both know"


@pytest.fixture
def app(environment: dict[str, str], settings: Settings, provider: Provider) -> Iterator[Flask]:
    made = create_app(Settings.parse(environment | {"OIDC_ISSUER": provider.url}))
    yield made
    made.extensions["moorage.bus"].stop()
    made.extensions["moorage"].database.engine.dispose()


@pytest.fixture
def member(town: Town) -> str:
    """The outside issuer's user, as a member of the tenant."""
    enrol(town)
    return SUBJECT


def enrol(town: Town, role: str = "infra") -> None:
    with its(town.app).database.transaction(town.tenant) as session:
        by = Actor(town.tenant, "test", "cli")
        tenants.members.add(session, by, user_id=SUBJECT, role=role, email=None)


def ask(client: FlaskClient, token: str) -> Any:
    return Person(client, token).get(WHOAMI)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_token_of_the_issuer_is_its_subject_with_the_memberships_role(
    algorithm: str, provider: Provider, town: Town, member: str, client: FlaskClient
) -> None:
    key = provider.rotate(algorithm)
    who = data(ask(client, key.sign(claims(provider, town.tenant))))
    assert who == {"uid": member, "email": "ada@example.org", "roles": ["infra"], "tenant_id": str(town.tenant)}


def test_the_tenant_may_stand_at_the_top_and_then_counts_first(
    provider: Provider, town: Town, elsewhere: Town, member: str, client: FlaskClient
) -> None:
    said = claims(provider, elsewhere.tenant, tenant_id=str(town.tenant))
    assert data(ask(client, provider.keys[0].sign(said)))["tenant_id"] == str(town.tenant)


def test_without_an_address_the_subject_stands_in_for_it(
    provider: Provider, town: Town, member: str, client: FlaskClient
) -> None:
    who = data(ask(client, provider.keys[0].sign(claims(provider, town.tenant, email=None))))
    assert who["email"] == who["uid"] == member


def test_a_role_in_the_token_is_not_ours(provider: Provider, town: Town, client: FlaskClient) -> None:
    enrol(town, "viewer")
    said = claims(provider, town.tenant, role="admin", roles=["admin"])
    assert data(ask(client, provider.keys[0].sign(said)))["roles"] == ["viewer"]


def test_who_is_no_member_gets_nothing(provider: Provider, town: Town, elsewhere: Town, client: FlaskClient) -> None:
    enrol(elsewhere)
    token = provider.keys[0].sign(claims(provider, town.tenant))
    assert refusal(ask(client, token)) == (401, "TOKEN_INVALID")


def test_a_member_who_was_removed_is_out_at_once(
    provider: Provider, town: Town, member: str, client: FlaskClient
) -> None:
    token = provider.keys[0].sign(claims(provider, town.tenant))
    assert ask(client, token).status_code == 200
    with its(town.app).database.transaction(town.tenant) as session:
        tenants.members.remove(session, Actor(town.tenant, "test", "cli"), member)
    assert refusal(ask(client, token)) == (401, "TOKEN_INVALID")


NOW = 0
WRONG: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "anon"},
    "no audience": {"aud": None},
    "past its end": {"exp": NOW - 1},
    "no end": {"exp": None},
    "issued in the future": {"iat": NOW + 90},
    "not yet": {"nbf": NOW + 90},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject with a line break": {"sub": "a\nb"},
    "a subject that is too long": {"sub": "a" * 201},
    "no tenant": {"app_metadata": {}},
    "no app_metadata": {"app_metadata": None},
    "a tenant that the user wrote": {"app_metadata": {}, "user_metadata": {"tenant_id": "TENANT"}},
    "a tenant that is no id": {"app_metadata": {"tenant_id": "acme"}},
    "a tenant that is no text": {"app_metadata": {"tenant_id": ["TENANT"]}},
}


def meant(changes: dict[str, Any], tenant: object) -> dict[str, Any]:
    """The case's claims: times from now on, and the test's tenant by name."""
    times = {name: changes[name] + int(time.time()) for name in ("exp", "iat", "nbf") if changes.get(name) is not None}
    return {**orjson.loads(orjson.dumps(changes).replace(b"TENANT", str(tenant).encode())), **times}


@pytest.mark.parametrize("case", WRONG)
def test_a_token_with_a_claim_that_is_wrong_or_missing_is_worth_nothing(
    case: str, provider: Provider, town: Town, member: str, client: FlaskClient
) -> None:
    key = provider.keys[0]
    assert ask(client, key.sign(claims(provider, town.tenant))).status_code == 200
    token = key.sign(claims(provider, town.tenant, **meant(WRONG[case], town.tenant)))
    assert refusal(ask(client, token)) == (401, "TOKEN_INVALID")


def test_clocks_may_differ_by_a_minute_at_the_beginning_and_not_at_the_end(
    provider: Provider, town: Town, member: str, client: FlaskClient
) -> None:
    now = int(time.time())
    early = provider.keys[0].sign(claims(provider, town.tenant, iat=now + 50, nbf=now + 50))
    ending = provider.keys[0].sign(claims(provider, town.tenant, exp=now + 2))
    assert ask(client, early).status_code == 200
    assert ask(client, ending).status_code == 200
    time.sleep(max(0.0, now + 2 - time.time()))
    assert refusal(ask(client, ending)) == (401, "TOKEN_INVALID")


def forged(provider: Provider, tenant: object) -> dict[str, str]:
    key, said, stranger = provider.keys[0], claims(provider, tenant), Key.new()
    good = key.sign(said)
    head, body, signature = good.split(".")
    more = urlsafe_b64encode(orjson.dumps({**said, "sub": "somebody else"})).decode().rstrip("=")
    return {
        "unsigned": jwt.encode(said, None, algorithm="none", headers={"kid": key.kid}),
        "without its signature": f"{head}.{body}.",
        "HS256 with the public key in PEM": by_hmac(said, key.public_pem(), key.kid),
        "HS256 with the public key in JWK": by_hmac(said, orjson.dumps(key.public()), key.kid),
        "HS256 with nothing": by_hmac(said, b"", key.kid),
        "a stranger's key under a kid that is known": stranger.sign(said, kid=key.kid),
        "a stranger's key in its own header": stranger.sign(said, kid=key.kid, jwk=stranger.public()),
        "an unknown kid": key.sign(said, kid="unknown"),
        "no kid": jwt.encode(said, key.private, algorithm=key.algorithm),
        "other claims under a good signature": f"{head}.{more}.{signature}",
        "another algorithm's name": Key(key.kid, "RS256", Key.new("RS256").private).sign(said),
        "another issuer": key.sign({**said, "iss": "https://elsewhere.example.org"}),
        "another path of the issuer": key.sign({**said, "iss": provider.url + "/"}),
        "our own name": key.sign({**said, "iss": "moorage", "sid": str(uuid4()), "tenant_id": str(tenant)}),
    }


@pytest.mark.parametrize("how", list(forged(Provider(), "")))
def test_a_forged_token_is_worth_nothing(
    how: str, provider: Provider, town: Town, member: str, client: FlaskClient
) -> None:
    assert ask(client, provider.keys[0].sign(claims(provider, town.tenant))).status_code == 200
    assert refusal(ask(client, forged(provider, town.tenant)[how])) == (401, "TOKEN_INVALID")


def test_our_own_tokens_are_read_without_the_issuer(provider: Provider, town: Town) -> None:
    provider.down()
    assert town.admin.get(WHOAMI).status_code == 200
    assert provider.asked == {}


def test_where_no_issuer_is_configured_none_counts(
    provider: Provider, settings: Settings, town: Town, member: str
) -> None:
    plain = create_app(settings)
    token = provider.keys[0].sign(claims(provider, town.tenant))
    assert refusal(ask(plain.test_client(), token)) == (401, "TOKEN_INVALID")
    plain.extensions["moorage.bus"].stop()
    assert provider.asked == {}


# A shared secret (GoTrue's default).


def test_a_shared_secret_signs_where_one_is_configured(environment: dict[str, str], provider: Provider) -> None:
    said = claims(provider, tenant := uuid4())
    good = jwt.encode(said, SHARED, algorithm="HS256")
    with_secret = outside(environment, provider, OIDC_HS256_SECRET=SHARED)
    credential = with_secret.read(good)
    assert (credential.tenant, credential.subject, credential.id) == (tenant, SUBJECT, None)
    assert provider.asked == {}
    assert with_secret.read(provider.keys[0].sign(said)).subject == SUBJECT  # keys count beside it
    stranger = by_hmac(said, provider.keys[0].public_pem(), provider.keys[0].kid)
    other = jwt.encode(said, SHARED * 2, algorithm="HS256"), jwt.encode(said, SHARED * 2, algorithm="HS512")
    for forgery in (stranger, *other):
        with pytest.raises(TokenInvalid):
            with_secret.read(forgery)
    with pytest.raises(TokenInvalid):
        outside(environment, provider).read(good)


def test_names_of_audience_and_claim_and_the_keys_address_are_settings(
    environment: dict[str, str], provider: Provider
) -> None:
    more = {"OIDC_AUDIENCE": "moorage", "OIDC_TENANT_CLAIM": "https://example.org/org"}
    made = outside(environment, provider, OIDC_JWKS_URL=f"{provider.url}/keys", **more)
    said = claims(provider, "", aud=["moorage", "other"], app_metadata={"https://example.org/org": str(uuid4())})
    assert made.read(provider.keys[0].sign(said)).subject == SUBJECT
    assert provider.asked == {"/keys": 1}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OIDC_ISSUER": "gotrue"}, "OIDC_ISSUER must be an address"),
        ({"OIDC_ISSUER": "https://example.org/?a"}, "OIDC_ISSUER must be an address"),
        ({"OIDC_HS256_SECRET": "short"}, "OIDC_HS256_SECRET must be 32 to"),
        ({"OIDC_HS256_SECRET": "SESSION"}, "another secret than SESSION_SECRET"),
        ({"GITHUB_CLIENT_ID": "abc"}, "GITHUB_CLIENT_SECRET is missing"),
        ({"GOOGLE_CLIENT_ID": "abc"}, "GOOGLE_CLIENT_SECRET is missing"),
    ],
)
def test_settings_that_cannot_work_stop_the_start(
    environment: dict[str, str], variables: dict[str, str], said: str
) -> None:
    meant = {name: environment["SESSION_SECRET"] if value == "SESSION" else value for name, value in variables.items()}
    with pytest.raises(SettingsError, match=said):
        Settings.parse(environment | meant)


def test_without_keys_and_issuer_the_answer_is_503_and_no_blame(
    provider: Provider, town: Town, member: str, client: FlaskClient
) -> None:
    provider.down()
    answer = ask(client, token(provider))
    assert refusal(answer) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "5"
