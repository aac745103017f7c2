"""The keys of an outside issuer: how long they are kept, and what happens when the issuer is away."""

from __future__ import annotations

import threading
import time
from base64 import urlsafe_b64encode
from uuid import uuid4

import jwt
import orjson
import pytest

from tests.api.auth.outside import SUBJECT, Clock, by_hmac, claims, outside, token
from tests.api.auth.provider import JWKS, Key, Provider
from webapp.auth import fetched
from webapp.auth.issuers import IssuerUnavailable, OutsideIssuer
from webapp.errors import TokenInvalid


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(environment: dict[str, str], provider: Provider, clock: Clock) -> OutsideIssuer:
    return outside(environment, provider, clock)


def test_keys_are_kept_for_five_minutes(provider: Provider, issuer: OutsideIssuer, clock: Clock) -> None:
    for seconds in (0, 150, 149):
        clock.pass_by(seconds)
        issuer.read(token(provider))
    assert provider.asked == {JWKS: 1}
    clock.pass_by(2)
    issuer.read(token(provider))
    assert provider.asked == {JWKS: 2}


def test_a_new_key_counts_at_once_and_the_one_before_no_more(
    provider: Provider, issuer: OutsideIssuer, clock: Clock
) -> None:
    old = provider.keys[0]
    issuer.read(token(provider))
    provider.rotate()
    issuer.read(token(provider))
    assert provider.asked == {JWKS: 2}
    with pytest.raises(TokenInvalid):
        issuer.read(token(provider, old))


def test_unknown_keys_are_asked_for_every_ten_seconds_at_most(
    provider: Provider, issuer: OutsideIssuer, clock: Clock
) -> None:
    def strangers(count: int) -> None:
        for _ in range(count):
            with pytest.raises(TokenInvalid):
                issuer.read(token(provider, Key.new()))

    strangers(1)
    assert provider.asked == {JWKS: 1}  # what was just fetched is not fetched again
    strangers(20)
    assert provider.asked == {JWKS: 2}
    clock.pass_by(9)
    strangers(1)
    issuer.read(token(provider))
    assert provider.asked == {JWKS: 2}
    clock.pass_by(1)
    strangers(3)
    assert provider.asked == {JWKS: 3}


def test_an_algorithm_that_does_not_count_is_not_asked_about(provider: Provider, issuer: OutsideIssuer) -> None:
    with pytest.raises(TokenInvalid):
        issuer.read(by_hmac(claims(provider, uuid4()), b"x", provider.keys[0].kid))
    assert provider.asked == {}


def test_while_the_issuer_is_down_its_keys_count_for_an_hour(
    provider: Provider, issuer: OutsideIssuer, clock: Clock
) -> None:
    issuer.read(token(provider))
    provider.down()
    clock.pass_by(3599)
    issuer.read(token(provider))
    with pytest.raises(TokenInvalid):
        issuer.read(token(provider, Key.new()))
    clock.pass_by(2)
    with pytest.raises(IssuerUnavailable):
        issuer.read(token(provider))


def test_an_issuer_that_fails_is_left_alone_for_ten_seconds_and_asked_again_then(
    provider: Provider, issuer: OutsideIssuer, clock: Clock
) -> None:
    provider.broken[JWKS] = 500
    for _ in range(5):
        with pytest.raises(IssuerUnavailable):
            issuer.read(token(provider))
    assert provider.asked == {JWKS: 1}
    provider.broken.clear()
    with pytest.raises(IssuerUnavailable):
        issuer.read(token(provider))
    clock.pass_by(10)
    issuer.read(token(provider))
    assert provider.asked == {JWKS: 2}


@pytest.mark.parametrize("status", [301, 404, 500])
def test_another_status_than_200_is_no_set_of_keys(provider: Provider, issuer: OutsideIssuer, status: int) -> None:
    provider.broken[JWKS] = status
    with pytest.raises(IssuerUnavailable):
        issuer.read(token(provider))


def test_a_silent_issuer_is_waited_for_three_seconds_and_not_by_those_whose_keys_are_kept(
    provider: Provider, issuer: OutsideIssuer, clock: Clock
) -> None:
    issuer.read(token(provider))
    provider.broken[JWKS] = 6.0
    clock.pass_by(400)
    began, took = time.monotonic(), []

    def read() -> None:
        issuer.read(token(provider))
        took.append(time.monotonic() - began)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(took) == 4 and sorted(took)[2] < 1 and 2.5 < max(took) < 4.5
    assert provider.asked == {JWKS: 2}


def test_an_answer_that_is_too_long_is_not_read_to_its_end(provider: Provider, issuer: OutsideIssuer) -> None:
    good = provider.keys[0]
    provider.keys = [good] * 2000
    with pytest.raises(IssuerUnavailable):
        issuer.read(token(provider, good))
    assert len(orjson.dumps([good.public()] * 2000)) > fetched.LARGEST_BYTES


def test_keys_that_are_of_no_use_leave_the_others_alone(
    provider: Provider, issuer: OutsideIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, ours = provider.keys[0], provider.keys[0].public()
    octets = {"kty": "oct", "kid": "shared", "alg": "HS256", "k": urlsafe_b64encode(b"x" * 32).decode()}
    sealing = {**Key.new("RS256").public(), "kid": "sealing", "use": "enc"}
    shown = [octets, sealing, {"kty": "new"}, {"kty": "EC", "crv": "P-256", "kid": "half"}, "text", None, ours]
    monkeypatch.setattr(provider, "answer", lambda *_: (200, {"keys": shown}))
    assert issuer.read(token(provider, good)).subject == SUBJECT
    with pytest.raises(TokenInvalid):
        issuer.read(jwt.encode(claims(provider, uuid4()), b"x" * 32, algorithm="HS256", headers={"kid": "shared"}))
