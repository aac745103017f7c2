"""The one place that keeps secrets out of everything that is written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.redaction import Secret, names_a_secret, redact, redact_text, remember


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "passwd",
        "secret",
        "token",
        "api_key",
        "apikey",
        "private_key",
        "access_key",
        "credential",
        "credentials",
        "db_password",
        "X-Auth-Token",
        "clientSecret",
        "AWS_SECRET_ACCESS_KEY",
        "proxmox.password",
        "sshPrivateKey",
        "Authorization",
    ],
)
def test_names_that_say_secret(name: str) -> None:
    assert names_a_secret(name)
    assert redact({name: "canary"}) == {name: "***"}


@pytest.mark.parametrize("name", ["secret_ref", "token_count", "tokens_used", "password_changed_at", "key", "keys"])
def test_names_that_do_not(name: str) -> None:
    assert not names_a_secret(name)
    assert redact({name: "plain"}) == {name: "plain"}


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer canary.canary-canary",
        "authorization: basic Y2FuYXJ5OmNhbmFyeQ==canary",
        "postgresql://app:canary@db/moorage",
        "GET /ws?agent_id=1&token=canary&x=2",
        "https://s3/b/k?X-Amz-Signature=canary&X-Amz-Expires=60",
        "password=canary",
        "token eyJhbGciOiJIUzI1NiJ9.canary.canary",
        "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\ncanary and then it is cut off",
    ],
)
def test_shapes_of_credentials_in_free_text(text: str) -> None:
    assert "canary" not in redact_text(text)
    assert "***" in redact_text(text)


@pytest.mark.parametrize("text", ["bearer of news", "a plain line", "https://host/path?agent_id=7", "5 tokens = 3"])
def test_plain_text_stays(text: str) -> None:
    assert redact_text(text) == text


def test_a_remembered_value_is_found_anywhere() -> None:
    remember(Secret("remembered-canary"))
    assert redact_text("x=remembered-canary;") == "x=***;"
    assert redact(["a", {"deep": ("remembered-canary",)}]) == ["a", {"deep": ["***"]}]


def test_a_short_value_is_not_remembered_for_it_would_blank_words() -> None:
    remember(Secret("the"))
    assert redact_text("the end") == "the end"


def test_empty_values_and_numbers_stay_what_they_are() -> None:
    plain = {"token": "", "secret": None, "count": 3, "ok": True, "password": False}
    assert redact(plain) == plain


def test_a_list_under_a_secret_name_is_hidden_item_by_item() -> None:
    assert redact({"tokens": ["a"], "token": ["a", "b"]}) == {"tokens": ["a"], "token": ["***", "***"]}


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(json_like)
def test_whatever_comes_in_nothing_secret_gets_out(value: object) -> None:
    hidden = redact({"outer": [value, {"password": "hidden-canary", "more": {"apiToken": ["hidden-canary"]}}]})
    assert "hidden-canary" not in json.dumps(hidden)


@given(json_like)
def test_redacting_twice_is_redacting_once(value: object) -> None:
    assert redact(redact(value)) == redact(value)
