"""What a bearer token is worth: nothing once it is altered, expired or revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import text

from tests.api.people import Person, Town, data, its, refusal
from webapp.cli import moorage

WHOAMI = "/api/v1/auth/whoami"


def test_whoami_names_user_role_and_tenant(town: Town) -> None:
    assert data(town.viewer.get(WHOAMI)) == {
        "uid": "viewer-1",
        "email": "viewer-1",
        "roles": ["viewer"],
        "tenant_id": str(town.tenant),
    }
    assert data(town.viewer.get("/api/v1/auth/verify")) == {"valid": True}


def test_without_a_token_there_is_nothing(app: Flask) -> None:
    assert refusal(app.test_client().get(WHOAMI)) == (401, "MISSING_BEARER_TOKEN")


def claims(town: Town, **changes: object) -> dict[str, object]:
    known = jwt.decode(town.admin.token, options={"verify_signature": False})
    return {**known, **changes}


def altered(town: Town) -> dict[str, str]:
    secret = its(town.app).settings.session_secret.reveal()
    lease_secret = its(town.app).settings.license_lease_secret.reveal()
    past = datetime.now(UTC) - timedelta(minutes=1)
    return {
        "none": jwt.encode(claims(town), None, algorithm="none"),
        "other secret": jwt.encode(claims(town), lease_secret, algorithm="HS256"),
        "other algorithm": jwt.encode(claims(town), secret, algorithm="HS512"),
        "expired": jwt.encode(claims(town, exp=past), secret, algorithm="HS256"),
        "no end": jwt.encode({k: v for k, v in claims(town).items() if k != "exp"}, secret, algorithm="HS256"),
        "other tenant": jwt.encode(claims(town, tenant_id=str(uuid4())), secret, algorithm="HS256"),
        "other session": jwt.encode(claims(town, sid=str(uuid4())), secret, algorithm="HS256"),
        "no uuid": jwt.encode(claims(town, sid="1"), secret, algorithm="HS256"),
        "not a token": "hello",
        "half a key": "mk_AAAA",
        "not base64": "ma_ä.x",
        "unknown key": "mk_" + "A" * 43 + ".x",
    }


@pytest.mark.parametrize(
    "how",
    ["none", "other secret", "other algorithm", "expired", "no end", "other tenant", "other session", "no uuid",
     "not a token", "half a key", "not base64", "unknown key"],
)  # fmt: skip
def test_an_altered_token_is_worth_nothing(town: Town, how: str) -> None:
    assert refusal(Person(town.app.test_client(), altered(town)[how]).get(WHOAMI)) == (401, "TOKEN_INVALID")


def test_a_revoked_session_is_dead_at_once(town: Town) -> None:
    assert town.admin.get(WHOAMI).status_code == 200
    with its(town.app).database.transaction(town.tenant) as session:
        session.execute(text("UPDATE auth_sessions SET revoked_at = now()"))
    assert refusal(town.admin.get(WHOAMI)) == (401, "TOKEN_INVALID")


@pytest.mark.parametrize("header", ["Basic \xff", "Basic %%%", "Digest \xff=", "Bearer", "\xff", "Token a"])
def test_an_authorization_header_of_another_kind_is_none(app: Flask, header: str) -> None:
    """Found by the fuzz tests: what is no base64 made werkzeug's reader of Basic fail, and was answered with 500."""
    answer = app.test_client().get(WHOAMI, headers={"Authorization": header})
    assert refusal(answer) == (401, "MISSING_BEARER_TOKEN")


@pytest.mark.parametrize("token", ["\xff\xfe", "mk_\xe9.x", "a=b", "mk_" + "=" * 43 + ".x", "a" * 20_000])
def test_a_token_of_any_bytes_is_refused(app: Flask, token: str) -> None:
    answer = app.test_client().get(WHOAMI, headers={"Authorization": f"bearer  {token}"})
    assert refusal(answer) == (401, "TOKEN_INVALID")


def test_token_issue_prints_one_token_and_nothing_else(run: CliRunner, town: Town) -> None:
    options = ["token", "issue", "--tenant", str(town.tenant), "--user", "u-1", "--role", "infra"]
    result = run.invoke(moorage, options)
    assert result.exit_code == 0 and len(result.stdout.split()) == 1
    assert data(Person(town.app.test_client(), result.stdout.strip()).get(WHOAMI))["roles"] == ["infra"]


@pytest.mark.parametrize(
    ("options", "code"),
    [(["--user", " "], "VALIDATION_ERROR"), (["--tenant", str(uuid4())], "TENANT_NOT_FOUND")],
)
def test_token_issue_refuses_what_cannot_be(run: CliRunner, town: Town, options: list[str], code: str) -> None:
    plain = ["token", "issue", "--tenant", str(town.tenant), "--user", "u-1", "--role", "admin"]
    result = run.invoke(moorage, [*plain, *options])
    assert result.exit_code == 1 and result.stdout == "" and result.stderr.startswith(f"{code}: ")


def test_issuing_a_token_is_audited(town: Town) -> None:
    assert town.admin
    [event] = data(town.admin.get("/api/v1/audit?event=token_issued"))
    assert (event["subject"], event["actor_kind"], event["details"]["role"]) == ("admin-1", "cli", "admin")
