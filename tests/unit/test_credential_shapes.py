"""What credentials look like in free text: each shape with something secret in it, and text that must stay."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.agents.codes import Invitation, new_code
from webapp.auth.tokens import access_token, new_opaque
from webapp.credential_shapes import PLAIN, SHAPES
from webapp.redaction import Secret, redact_text

LONG = "canary" * 8
HIDDEN = {
    # headers
    "bearer": "Authorization: Bearer canary.canary-canary",
    "bearer in a dict": "{'Authorization': 'Bearer canary-canary'}",
    "bearer in JSON": '{"authorization":"bearer canary-canary"}',
    "bearer by itself": "curl -H 'Bearer canary-canary'",
    "bearer in a URL": "Bearer%20canary-canary",
    "basic": "authorization: basic Y2FuYXJ5OmNhbmFyeQ==canary",
    "unknown scheme": "Authorization: AWS4-HMAC-SHA256 Credential=canary/x, SignedHeaders=host, Signature=canary",
    "no scheme": "Proxy-Authorization: canary",
    "cookie": "Cookie: session=canary; other=canary",
    "set-cookie": "Set-Cookie: session=canary; HttpOnly",
    "x header": "X-Auth-Token: canary",
    "x api key": "x-api-key: canary",
    # URLs
    "dsn": "postgresql://app:canary@db/moorage",
    "dsn with @": "postgresql://app:ca@n:ary-canary@db/moorage",
    "dsn without user": "redis://:canary@cache/0",
    "dsn of a driver": "could not parse 'postgresql+psycopg2://app:canary@db:5432/x?sslmode=require'",
    "https": "https://user:canary@host/path",
    "query": "GET /ws?agent_id=1&token=canary&x=2",
    "first of query": "GET /ws?access_token=canary",
    "fragment": "https://host/agents/pair#code=canary",
    "uri of a pairing": "moorage-agent://pair?server=https%3A%2F%2Fhost&code=canary",
    "signature": "https://s3/b/k?X-Amz-Signature=canary&X-Amz-Expires=60",
    "credential": "https://s3/b/k?X-Amz-Credential=canary%2F20261120%2Fus-east-1&X-Amz-Expires=60",
    "security token": "https://s3/b/k?x-amz-security-token=canary",
    "signature encoded": "?next=https%3A%2F%2Fs3%2Fk%3FX-Amz-Signature%3Dcanary%26x%3D1",
    "otpauth": "otpauth://totp/Moorage:ada?secret=canary&issuer=Moorage",
    # names and values
    "password": "password=canary",
    "password with signs": "password=can,a;r(y)canary next",
    "password upper": "PGPASSWORD=canary",
    "spaces": "password = canary",
    "quoted": "host=db password='can ary' user=x",
    "double quoted": 'SESSION_SECRET="can ary"',
    "quote in quotes": r'api_key="can\"canary"',
    "dataclass": "Login(email='ada@example.org', password='canary', totp=None)",
    "dict": "{'user': 'ada', 'db_password': 'canary'}",
    "JSON": '{"client_secret": "canary", "n": 1}',
    "JSON in JSON": r'{"body": "{\"token\": \"canary\"}"}',
    "JSON with a quote": r'{"token": "can\"canary"}',
    "JSON cut off": '{"refresh_token": "canary',
    "access key": "AWS_ACCESS_KEY_ID=canary",
    "pairing code": "pairing_code=canary",
    "pairing code in JSON": '{"pairing_code": "canary"}',
    # our own
    "jwt": "token eyJhbGciOiJIUzI1NiJ9.canary.canary",
    "jwt glued": "lease:eyJhbGciOiJIUzI1NiJ9.canary.canary",
    "jwt cut off": "eyJhbGciOiJIUzI1NiJ9.canary",
    "refresh token": f"mr_{LONG}.canary",
    "api key": f"key mk_{LONG}.canary was refused",
    "agent token": f"'ma_{LONG}.canary'",
    "agent token cut off": f"ma_{LONG}",
    "bundle": "eyJ2IjoxLCJzZXJ2ZXJfdXJsIjocanarycanary",
    "argon2": "$argon2id$v=19$m=19456,t=2,p=1$canary$canary",
    "scram": "SCRAM-SHA-256$4096:canary$canary:canary",
    # keys
    "pem": "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----",
    "pem cut off": "-----BEGIN RSA PRIVATE KEY-----\ncanary and then it is cut off",
    "pgp": "-----BEGIN PGP PRIVATE KEY BLOCK-----\ncanary",
    "pem in JSON": r'"-----BEGIN EC PRIVATE KEY-----\ncanary\n-----END EC PRIVATE KEY-----\n"',
    # PostgreSQL
    "key": "DETAIL:  Key (digest)=(canary) already exists.",
    "key of two": "DETAIL:  Key (tenant_id, lower(name))=(1, canary) already exists.\nmore",
    "key with a bracket": "DETAIL:  Key (name)=(x). canary) already exists.",
    "key over lines": "Key (name)=(x\ncanary) is not present in table",
    "keys in conflict": "Key (during)=(a) conflicts with existing key (during)=(canary).",
    "row": "DETAIL:  Failing row contains (1, x, canary, null).",
    "row over lines": "DETAIL:  Failing row contains (1, x).\ncanary, null).\n",
    "syntax": "invalid input syntax for type uuid: \"canary\"\nLINE 1: SELECT 'canary'\n",
    "json": "CONTEXT:  JSON data, line 1: canary...",
    "parameters": "CONTEXT:  unnamed portal with parameters: $1 = 'canary'",
}


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN)
def test_shapes_of_credentials_in_free_text(text: str) -> None:
    for said in (text, f"before {text}", f"{text}\nafter"):
        assert "canary" not in redact_text(said)
        assert "***" in redact_text(said)


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN)
def test_what_is_redacted_stays_as_it_is(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "bearer of news", "a plain line", "https://host/path?agent_id=7", "5 tokens = 3",
        "Send Authorization: Bearer <token>.", "lease_token: Missing data for required field.",
        "password: Length must be between 1 and 200.", "postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
        "7f9c24e8-3b12-4fef-91e0-5d6a8c0b4e21", "00000000-0000-0000-0000-000000000000", "with-some-four-word",
        "2026-11-20T20:00:00.000Z", "secret_ref=7f9c24e8", "token_count=12", "key_id=x25519:ab", "monkey=banana",
        "/api/v1/agents/<agent_id>/secrets", "http://127.0.0.1:8000/a@b", "vm-7f9c24e8", "a b://c", "Key is fine",
        "SHA-256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "mk_short", "{'count': 3}",
        "The field metadata.db.password holds a secret in plain text.", "00-4bf92f3577b34da6a3ce929d0e0e4736-00",
    ],
)  # fmt: skip
def test_plain_text_stays(text: str) -> None:
    assert redact_text(text) == text


@given(st.integers(0, 2**32))
def test_tokens_and_codes_as_they_are_made(_: int) -> None:
    secret, tenant = Secret("s" * 32), uuid4()
    jwt = access_token(secret, tenant=tenant, user_id="ada", session_id=uuid4(), lives=timedelta(hours=1))
    code = new_code()
    invitation = Invitation("https://host", code)
    tokens = [new_opaque(prefix, tenant, uuid4()).token.reveal() for prefix in ("mr", "mk", "ma")]
    for value in (jwt, code, code.lower(), invitation.bundle, invitation.uri, invitation.url, *tokens):
        assert value not in redact_text(f"a {value} b") and redact_text(f"'{value}'") != f"'{value}'"
        assert code not in redact_text(value)


@pytest.mark.parametrize(
    "part",
    ["a", "a-", "x-", "password", "password = ", "token: ", 'token"', "token='", "eyJ", "key (", "key ()=(", "abcd-",
     "://:", "a://", "bearer ", "authorization:", "-----BEGIN PRIVATE KEY-----", 'password":"', "ma_", " ", "\\",
     "Failing row contains (", "invalid input syntax for x: \"", "cookie: ", "%3d"],
)  # fmt: skip
def test_no_text_takes_long(part: str) -> None:
    began = time.process_time()
    redact_text(part * (200_000 // len(part)))
    assert time.process_time() - began < 2


@given(st.from_regex(PLAIN, fullmatch=True))
def test_no_shape_is_found_in_what_is_passed_over(text: str) -> None:
    for shape, _ in SHAPES:
        assert shape.search(text) is None


@pytest.mark.parametrize("text", [str(uuid4()), "LEASE_INACTIVE", "vm-1", "linux", "1.4.2", "1764230400123"])
def test_what_is_audited_most_is_passed_over(text: str) -> None:
    assert PLAIN.fullmatch(text)
