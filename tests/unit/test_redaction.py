"""The one place that keeps secrets out of everything that is written: values by their name, and values we know."""

from __future__ import annotations

import json
from collections import namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import redaction as agents
from webapp.fields import PlaintextSecretRefused, refuse_plaintext
from webapp.redaction import Secret, names_a_secret, redact, redact_messages, redact_text, remember

# The contract's words, plain, as the last part of a longer name, and in every case and separator.
SECRET = [
    "password", "passwd", "secret", "token", "api_key", "apikey", "private_key", "access_key", "credential",
    "credentials", "db_password", "X-Auth-Token", "clientSecret", "AWS_SECRET_ACCESS_KEY", "proxmox.password",
    "sshPrivateKey", "Authorization", "Password", "PASSWORD", "api-key", "api.key", "api key", "API Key", "APIKey",
    "apiKey", "myAPIKey", "DBPassword", "dbpassword", "PGPASSWORD", "accesstoken", "lease_token", "user/token",
    "user:token", "a[token]", "access key", "PRIVATE-KEY", "privateKey", "ACCESSKEY",
]  # fmt: skip
# The same to whoever reads it, or to a program that is kinder than ours.
DISGUISED = [
    "password ", " password", "password\t", "password\n", "password.", "password-", "password_", "password:",
    "pass word", "pass-word", "p.a.s.s.w.o.r.d", "pass_word", "api - key",
    "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44",
    "\uff34\uff4f\uff4b\uff45\uff4e", "db\uff3ftoken", "to\u200bken", "token\u200b", "\u200btoken", "to\u00adken",
    "to\u2060ken", "\ufefftoken", "to\u200dken", "token\u200f", "to\ufe0fken", "to\u034fken", "to\u3164ken",
    "token\u00a0", "api\u00a0key", "api\u3000key", "api\u2011key", "api\u2024key", "pa\u017fsword",
    "\u24e3oken", "\U0001d42d\U0001d428\U0001d424\U0001d41e\U0001d427", "p\u00e1ssword", "to\u212aen", "to\x00ken",
    "token" + "\u200b" * 2000, "x" * 2000 + "token",
]  # fmt: skip
PLAIN = [
    "secret_ref", "token_count", "tokens_used", "password_changed_at", "key", "keys", "key_id", "tokenizer", "monkey",
    "passport", "pass", "tokens", "secretary", "public_key", "access_keys", "api_key_id", "password_hint", "", "***",
    "secretRef", "has_password_set", "credential_id", "author", "cookies_accepted", "donkey", "passwords", "nonce",
]  # fmt: skip

every_secret = pytest.mark.parametrize("name", [*SECRET, *DISGUISED], ids=ascii)


@every_secret
def test_names_that_say_secret(name: str) -> None:
    assert names_a_secret(name) and agents.names_a_secret(name)
    assert "canary" not in json.dumps(redact({name: "canary", "deep": [{name: ["canary"]}]}))


@every_secret
def test_a_body_with_such_a_name_is_refused_at_any_depth(name: str) -> None:
    for body in ({name: "canary"}, {"a": [{"b": {name: ["canary"]}}]}, {name: {name: "canary"}}):
        with pytest.raises(PlaintextSecretRefused) as refused:
            refuse_plaintext(body, path="metadata")
        assert "canary" not in str(refused.value)


@pytest.mark.parametrize("name", PLAIN)
def test_names_that_do_not(name: str) -> None:
    assert not names_a_secret(name) and not agents.names_a_secret(name)
    assert redact({name: "plain"}) == {name: "plain"}
    refuse_plaintext({name: "plain"}, path="")


@pytest.mark.parametrize("value", ["", None, 0, 1, True, {}, []])
def test_what_is_no_text_or_empty_is_not_refused(value: object) -> None:
    refuse_plaintext({"password": value}, path="")


@pytest.mark.parametrize(
    "name", ["pairing_code", "pairing_bundle", "pairing_uri", "pairing_url", "totp", "pairingCode"]
)
def test_fields_of_ours_that_give_something_away_are_hidden_but_a_record_may_be_called_so(name: str) -> None:
    assert redact({name: "canary"}) == {name: "***"}
    assert not names_a_secret(name)


def test_a_remembered_value_is_found_anywhere() -> None:
    remember(Secret("remembered-canary"))
    assert redact_text("x=remembered-canary;") == "x=***;"
    assert redact(["a", {"deep": ("remembered-canary",)}]) == ["a", {"deep": ["***"]}]
    assert redact({"remembered-canary": 1}) == {"***": 1}


def test_a_remembered_value_is_found_as_urls_and_json_write_it() -> None:
    value = 'remembered "canary"/with+more\\'
    remember(Secret(value))
    for written in (
        "remembered%20%22canary%22%2Fwith%2Bmore%5C",
        "remembered+%22canary%22%2Fwith%2Bmore%5C",
        json.dumps(value),
    ):
        assert "canary" not in redact_text(f"<{written}>")


def test_a_short_value_is_not_remembered_for_it_would_blank_words() -> None:
    remember(Secret("the"))
    assert redact_text("the end") == "the end"


def test_empty_values_and_numbers_stay_what_they_are() -> None:
    plain = {"token": "", "secret": None, "count": 3, "ok": True, "password": False, "has_token": True}
    assert redact(plain) == plain


def test_a_number_under_a_secret_name_is_one() -> None:
    assert redact({"password": 12345678}) == {"password": "***"}


def test_a_list_under_a_secret_name_is_hidden_item_by_item() -> None:
    assert redact({"tokens": ["a"], "token": ["a", "b"]}) == {"tokens": ["a"], "token": ["***", "***"]}


def test_a_row_has_names_too() -> None:
    row = namedtuple("Row", ["user_id", "password_hash", "token"])("ada", "canary", "canary")
    assert redact(row) == {"user_id": "ada", "password_hash": "***", "token": "***"}


def test_what_is_wrong_with_a_secret_field_is_said() -> None:
    said: dict[str, Any] = {
        "lease_token": ["Missing data for required field."],
        "deep": {"0": {"password": ["Too long."]}},
    }
    assert redact_messages(said) == said


def test_a_value_among_messages_is_hidden_all_the_same() -> None:
    for value in ("canary", 7, [7, "canary"], [["canary"]], {"token": "canary"}):
        assert "canary" not in json.dumps(redact_messages({"lease_token": value}))
    assert redact_messages({"password": ["not password=canary"]}) == {"password": ["not password=***"]}


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


@given(st.text(max_size=3), st.text(alphabet=" ._-\u200b\u00ad\u2060", max_size=3), st.sampled_from(SECRET[:9]))
def test_no_separator_hides_a_name(before: str, between: str, word: str) -> None:
    assert names_a_secret(before + between + between.join(word) + between)
