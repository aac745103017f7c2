"""Pairing codes resist guessing: a few a minute from an address, and a wait that doubles with every wrong one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.fleet import code_of
from tests.api.people import Town, refusal
from webapp import create_app
from webapp.settings import Settings

REGISTER = "/api/v1/agents/register"


@pytest.fixture
def guarded(environment: dict[str, str], settings: Settings) -> Iterator[FlaskClient]:
    """An application with the contract's limits."""
    made: Flask = create_app(Settings.parse(environment | {"RATE_LIMIT_PAIRING": "10"}))
    yield made.test_client()
    made.extensions["moorage.bus"].stop()
    made.extensions["moorage"].database.engine.dispose()


@pytest.fixture
def address() -> str:
    """Of this test's own: what was counted for another must not count here."""
    return f"2001:db8::{secrets.token_hex(2)}:{secrets.token_hex(2)}"


def attempt(client: FlaskClient, address: str, code: str) -> TestResponse:
    return client.post(REGISTER, json={"pairing_code": code}, environ_base={"REMOTE_ADDR": address})


def test_wrong_codes_lock_the_address_out_and_nobody_else(guarded: FlaskClient, address: str, town: Town) -> None:
    code = code_of(town)["pairing_code"]
    wrong = [attempt(guarded, address, "7K2M-9XQ4-T0AB-C5DE") for _ in range(5)]
    assert {refusal(answer) for answer in wrong} == {(404, "PAIRING_NOT_FOUND")}
    locked = attempt(guarded, address, code)
    assert refusal(locked) == (429, "RATE_LIMITED")
    assert int(locked.headers["Retry-After"]) >= 1 and locked.headers["RateLimit-Limit"] == "10"
    assert attempt(guarded, f"{address}:7", code).status_code == 201


def test_no_more_than_ten_a_minute(guarded: FlaskClient, address: str, town: Town) -> None:
    codes = [code_of(town)["pairing_code"] for _ in range(11)]
    answers = [attempt(guarded, address, code).status_code for code in codes]
    assert answers == [201] * 10 + [429]
