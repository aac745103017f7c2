"""Pairing codes: hard to guess, easy to type, kept only as a digest."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from webapp.agents.codes import ALPHABET, BITS, Invitation, digest_of, new_code
from webapp.agents.service import key_id_of


def test_a_code_has_at_least_60_bits_of_letters_that_nobody_mistakes() -> None:
    assert BITS >= 60 and len(ALPHABET) == len(set(ALPHABET)) == 32 and not set("ILOU") & set(ALPHABET)
    codes = {new_code() for _ in range(2000)}
    assert len(codes) == 2000
    assert all(len(code) == 19 and set(code) <= {*ALPHABET, "-"} for code in codes)
    assert {letter for code in codes for letter in code} == {*ALPHABET, "-"}


@pytest.mark.parametrize("typed", ["7k2m-9xq4-t0ab-c5de", "7K2M9XQ4T0ABC5DE", " 7K2M 9XQ4 TOAB C5DE "])
def test_however_it_is_typed_it_is_the_same_code(typed: str) -> None:
    assert digest_of(typed) == digest_of("7K2M-9XQ4-T0AB-C5DE") is not None


@pytest.mark.parametrize("typed", ["", "7K2M", "7K2M-9XQ4-T0AB-C5DEF", "7K2M-9XQ4-T0AB-C5DU", "ß" * 16, "٣" * 16])
def test_what_cannot_be_a_code_has_no_digest(typed: str) -> None:
    assert digest_of(typed) is None


def test_every_shape_carries_server_and_code() -> None:
    made = Invitation("https://moorage.example:8443", "7K2M-9XQ4-T0AB-C5DE")
    bundle = json.loads(base64.urlsafe_b64decode(made.bundle + "=" * (-len(made.bundle) % 4)))
    assert bundle == {"v": 1, "server_url": made.server_url, "pairing_code": made.code}
    uri = urlsplit(made.uri)
    assert (uri.scheme, uri.netloc) == ("moorage-agent", "pair")
    assert parse_qs(uri.query) == {"server": [made.server_url], "code": [made.code]}
    url = urlsplit(made.url)
    assert made.url.startswith(made.server_url + "/") and made.code not in url.path + url.query
    assert url.fragment == f"code={made.code}", "what no browser sends is in no server's log"


def test_a_keys_id_is_as_agents_make_it() -> None:
    key = base64.b64encode(bytes(32)).decode()
    assert key_id_of(key) == "x25519:66687aadf862bd776c8fc18b8e9f8e20"
    assert key_id_of("ssh-ed25519 AAAA").startswith("sha256:")
