"""The second factor: enrolled, asked for at log-ins, each code good for once, with recovery codes beside it."""

from __future__ import annotations

import time
from typing import Any

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from tests.api.auth.test_login import AUTH, PASSWORD, holder, login, resident
from tests.api.people import Person, Town, data, its, refusal
from webapp import create_app
from webapp.settings import Settings

WRONG = (401, "INVALID_CREDENTIALS")


@pytest.fixture
def town(app: Flask) -> Town:
    return Town.found(app)


class Phone:
    """An app that knows the secret. A code is good for once, so each call gives one of another step."""

    def __init__(self, secret: str) -> None:
        self._totp, self._steps = pyotp.TOTP(secret), iter((-1, 0, 1))
        if (left := 30 - time.time() % 30) < 3:  # a test is not to begin in one step and end in the next
            time.sleep(left)

    def code(self) -> str:
        return str(self._totp.at(time.time() + 30 * next(self._steps)))

    def now(self, offset: int = 0) -> str:
        return str(self._totp.at(time.time() + 30 * offset))


def enrolled(town: Town, client: FlaskClient) -> tuple[str, Person, Phone, list[str]]:
    """E-mail address, a logged-in person, their phone, and their recovery codes."""
    email = resident(town)
    person = holder(client, data(login(client, email)))
    phone = Phone(data(person.post(f"{AUTH}/totp/enrol"))["secret"])
    codes = data(person.post(f"{AUTH}/totp/confirm", {"code": phone.code()}))["recovery_codes"]
    return email, person, phone, codes


def test_an_enrolment_is_what_apps_scan(town: Town, client: FlaskClient) -> None:
    email = resident(town)
    made = data(holder(client, data(login(client, email))).post(f"{AUTH}/totp/enrol"))
    read = pyotp.parse_uri(made["otpauth_uri"])
    assert (read.secret, read.issuer, read.name) == (made["secret"], "Moorage", email)
    assert made["qr_svg"].startswith("<svg") and len(made["secret"]) >= 32


def test_nothing_is_asked_for_until_a_code_was_confirmed(town: Town, client: FlaskClient) -> None:
    email = resident(town)
    person = holder(client, data(login(client, email)))
    assert refusal(person.post(f"{AUTH}/totp/confirm", {"code": "123456"})) == (409, "TOTP_NOT_ENROLLED")
    data(person.post(f"{AUTH}/totp/enrol"))
    assert refusal(person.post(f"{AUTH}/totp/confirm", {"code": "12345x"})) == (403, "TOTP_WRONG")
    assert login(client, email).status_code == 200


def test_then_a_log_in_needs_the_password_and_a_code(town: Town, client: FlaskClient) -> None:
    email, _, phone, _ = enrolled(town, client)
    assert refusal(login(client, email)) == (401, "MFA_REQUIRED")
    assert refusal(login(client, email, "wrong", totp=phone.now())) == WRONG
    assert refusal(login(client, email, totp="000000x")) == WRONG
    assert login(client, email, totp=phone.code()).status_code == 200


def test_a_code_works_once_and_none_before_it(town: Town, client: FlaskClient) -> None:
    email, _, phone, _ = enrolled(town, client)
    used = phone.now()
    assert login(client, email, totp=used).status_code == 200
    assert refusal(login(client, email, totp=used)) == WRONG
    assert refusal(login(client, email, totp=phone.now(-1))) == WRONG


@pytest.mark.parametrize("steps", [-3, 3])
def test_a_code_of_another_time_is_wrong(town: Town, client: FlaskClient, steps: int) -> None:
    email, _, phone, _ = enrolled(town, client)
    assert refusal(login(client, email, totp=phone.now(steps))) == WRONG


def test_a_recovery_code_takes_a_codes_place_once(town: Town, client: FlaskClient) -> None:
    email, _, _, codes = enrolled(town, client)
    assert len(set(codes)) == 10 and all(len(code.replace("-", "")) == 16 for code in codes)
    assert login(client, email, totp=codes[0].upper().replace("-", " ")).status_code == 200
    assert refusal(login(client, email, totp=codes[0])) == WRONG
    assert login(client, email, totp=codes[1]).status_code == 200


def test_new_recovery_codes_end_the_old_ones(town: Town, client: FlaskClient) -> None:
    email, person, phone, codes = enrolled(town, client)
    assert refusal(person.post(f"{AUTH}/totp/recovery-codes", {"code": "000000x"})) == (403, "TOTP_WRONG")
    new = data(person.post(f"{AUTH}/totp/recovery-codes", {"code": phone.code()}))["recovery_codes"]
    assert refusal(login(client, email, totp=codes[0])) == WRONG
    assert login(client, email, totp=new[0]).status_code == 200


def test_it_is_taken_away_with_password_and_code_only(town: Town, client: FlaskClient) -> None:
    email, person, phone, codes = enrolled(town, client)
    assert refusal(person.post(f"{AUTH}/totp/enrol")) == (409, "TOTP_ENROLLED")
    body = {"password": "not it", "code": codes[0]}
    assert refusal(person.post(f"{AUTH}/totp/disable", body)) == WRONG
    assert refusal(person.post(f"{AUTH}/totp/disable", {"password": PASSWORD, "code": "1"})) == (403, "TOTP_WRONG")
    data(person.post(f"{AUTH}/totp/disable", {"password": PASSWORD, "code": phone.code()}))
    assert login(client, email).status_code == 200
    assert refusal(person.post(f"{AUTH}/totp/disable", body)) == (409, "TOTP_NOT_ENROLLED")


def test_neither_secret_nor_recovery_codes_can_be_read_at_rest(town: Town, client: FlaskClient) -> None:
    email, person, phone, codes = enrolled(town, client)
    with its(town.app).database.transaction(email=email, sub=data(person.get(f"{AUTH}/whoami"))["uid"]) as session:
        query = "SELECT u::text || encode(u.totp_sealed, 'escape') FROM auth_users u UNION ALL SELECT c::text FROM"
        rows = str(session.execute(text(f"{query} auth_recovery_codes c")).all())
    assert email in rows and phone._totp.secret not in rows
    assert not any(code in rows or code.replace("-", "") in rows for code in codes)


def test_a_user_of_an_outside_issuer_has_none(town: Town) -> None:
    assert refusal(town.member.post(f"{AUTH}/totp/enrol")) == (404, "USER_NOT_FOUND")


def test_changes_and_refused_log_ins_are_audited(town: Town, client: FlaskClient) -> None:
    email, *_ = enrolled(town, client)
    login(client, email)
    events = [(one["event"], one.get("reason")) for one in data(town.admin.get("/api/v1/audit?order=asc"))]
    assert ("totp_enabled", None) in events and ("login_failed", "MFA_REQUIRED") in events


def test_codes_and_passwords_of_an_account_cannot_be_guessed_from_many_addresses(
    town: Town, environment: dict[str, str], client: FlaskClient
) -> None:
    email, *_ = enrolled(town, client)
    settings = Settings.parse(environment | {"RATE_LIMIT_LOGIN": "1000", "TRUSTED_PROXIES": "1"})
    guarded = create_app(settings).test_client()

    def guess(address: int, **more: Any) -> tuple[int, str]:
        return refusal(
            guarded.post(
                f"{AUTH}/login",
                json={"email": email, "password": PASSWORD, **more},
                headers={"X-Forwarded-For": f"198.51.100.{address}"},
            )
        )

    assert [guess(n, totp="000000x") for n in range(5)] == [WRONG] * 5
    assert guess(9, totp="000000x") == (429, "RATE_LIMITED")
