"""API keys: shown once, held to their scopes, rotated with a time of grace, dead at once, and every use counted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.api.people import Person, Town, data, its, refusal
from webapp.auth.key_uses import KeyUses
from webapp.cli import moorage
from webapp.db import Database
from webapp.settings import Settings

PATH = "/api/v1/auth/keys"


@pytest.fixture
def town(app: Flask) -> Town:
    return Town.found(app)


def made(town: Town, *scopes: str, **more: Any) -> Any:
    return data(town.admin.post(PATH, {"name": "CI", "scopes": list(scopes) or ["artifacts:read"], **more}), 201)


def holder(town: Town, key: Any) -> Person:
    return Person(town.app.test_client(), key["token"])


def one(town: Town, key: Any) -> Any:
    its(town.app).key_uses.flush()
    return data(town.admin.get(f"{PATH}/{key['id']}"))


def shift(town: Town, key: Any, column: str, by: str) -> None:
    with its(town.app).database.transaction(town.tenant) as session:
        session.execute(
            text(f"UPDATE auth_keys SET {column} = now() + CAST(:by AS interval) WHERE id = :id"),
            {"by": by, "id": key["id"]},
        )


def test_a_key_does_what_its_scopes_say_and_nothing_else(town: Town) -> None:
    key = made(town, "artifacts:read", "artifacts:read", "ops:read")
    assert key["scopes"] == ["artifacts:read", "ops:read"] and key["token"].startswith("mk_")
    person = holder(town, key)
    assert data(person.get("/api/v1/artifacts/releases")) == []
    assert refusal(person.post("/api/v1/projects", {"name": "x"})) == (403, "FORBIDDEN")
    assert refusal(person.get(PATH)) == (403, "FORBIDDEN")
    assert data(person.get("/api/v1/auth/whoami"))["roles"] == ["key"]


def test_the_token_is_shown_once_and_kept_nowhere(town: Town) -> None:
    key = made(town)
    rotated = data(town.admin.post(f"{PATH}/{key['id']}/rotate"))
    assert "token" not in one(town, key) and all("token" not in each for each in data(town.admin.get(PATH)))
    with its(town.app).database.transaction(town.tenant) as session:
        everything = text("SELECT k::text FROM auth_keys k UNION SELECT a::text FROM audit_events a")
        rows = str(session.execute(everything).all())
    for token in (key["token"], rotated["token"]):
        assert token not in rows and token.partition(".")[2] not in rows


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["ops:read"]}, "name"),
        ({"name": "a"}, "scopes"),
        ({"name": "a", "scopes": []}, "scopes"),
        ({"name": "a", "scopes": ["everything"]}, "scopes"),
        ({"name": "a", "scopes": ["ops:read"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "a", "scopes": ["ops:read"], "expires_at": 5}, "expires_at"),
    ],
)
def test_a_wrong_field_is_named(town: Town, body: dict[str, Any], field: str) -> None:
    answer = town.admin.post(PATH, body)
    assert refusal(answer) == (400, "VALIDATION_ERROR") and list(answer.json["error"]["details"]) == [field]  # type: ignore[index]


def test_after_a_rotation_both_tokens_work_until_the_grace_is_over(town: Town) -> None:
    key = made(town, "ops:read")
    rotated = data(town.admin.post(f"{PATH}/{key['id']}/rotate", {"grace_seconds": 60}))
    old, new = holder(town, key), holder(town, rotated)
    assert rotated["id"] == key["id"] and rotated["previous_until"]
    assert old.get("/api/v1/auth/verify").status_code == new.get("/api/v1/auth/verify").status_code == 200
    shift(town, key, "previous_until", "-1 second")
    assert refusal(old.get("/api/v1/auth/verify")) == (401, "TOKEN_INVALID")
    assert new.get("/api/v1/auth/verify").status_code == 200


def test_a_rotation_without_grace_ends_the_old_token_at_once(town: Town) -> None:
    key = made(town)
    assert "previous_until" not in data(town.admin.post(f"{PATH}/{key['id']}/rotate", {"grace_seconds": 0}))
    assert refusal(holder(town, key).get("/api/v1/auth/verify")) == (401, "TOKEN_INVALID")


def test_a_second_rotation_leaves_only_the_last_two(town: Town) -> None:
    keys = [made(town)]
    keys += [data(town.admin.post(f"{PATH}/{keys[0]['id']}/rotate")) for _ in range(2)]
    assert [holder(town, key).get("/api/v1/auth/verify").status_code for key in keys] == [401, 200, 200]


def test_a_revoked_key_is_dead_at_once_with_all_its_tokens(town: Town) -> None:
    key = made(town)
    rotated = data(town.admin.post(f"{PATH}/{key['id']}/rotate"))
    revoked = data(town.admin.call(f"DELETE {PATH}/{key['id']}"))
    assert revoked["revoked_at"] and "previous_until" not in revoked
    for each in (key, rotated):
        assert refusal(holder(town, each).get("/api/v1/auth/verify")) == (401, "TOKEN_INVALID")
    assert refusal(town.admin.post(f"{PATH}/{key['id']}/rotate")) == (409, "KEY_REVOKED")
    assert town.admin.call(f"DELETE {PATH}/{key['id']}").status_code == 200


def test_an_expired_key_is_dead(town: Town) -> None:
    key = made(town, expires_at="2099-01-01T00:00:00Z")
    shift(town, key, "expires_at", "-1 second")
    assert refusal(holder(town, key).get("/api/v1/auth/verify")) == (401, "TOKEN_INVALID")
    assert refusal(town.admin.post(f"{PATH}/{key['id']}/rotate")) == (409, "KEY_EXPIRED"), "its token would be dead too"


def test_every_use_is_counted_also_of_many_at_once(town: Town) -> None:
    key = made(town)
    headers = {"Authorization": f"Bearer {key['token']}", "X-Forwarded-For": "192.0.2.7"}

    def use(_: int) -> int:
        return town.app.test_client().get("/api/v1/auth/verify", headers=headers).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(use, range(40))) == {200}
    seen = one(town, key)
    assert seen["uses"] == 40 and seen["last_used_at"] >= seen["created_at"] and seen["last_address"]
    [event] = data(town.admin.get(f"/api/v1/audit?event=key_used&subject={key['id']}"))
    assert event["actor"] == key["id"] and event["address"] == seen["last_address"]


def test_uses_that_could_not_be_written_wait(town: Town, relays: Any, relayed: dict[str, str]) -> None:
    key = made(town)
    uses = KeyUses(Database(Settings.parse(relayed).database_url, pool_size=1))
    uses.note(town.tenant, UUID(key["id"]), "192.0.2.1")
    relays[0].stop()
    with pytest.raises(OperationalError):
        uses.flush()
    uses.note(town.tenant, UUID(key["id"]), "192.0.2.2")
    relays[0].start()
    uses.stop()
    seen = one(town, key)
    assert (seen["uses"], seen["last_address"]) == (2, "192.0.2.2")


def test_what_admins_do_with_keys_is_audited(town: Town) -> None:
    key = made(town)
    data(town.admin.post(f"{PATH}/{key['id']}/rotate"))
    data(town.admin.call(f"DELETE {PATH}/{key['id']}"))
    events = [event["event"] for event in data(town.admin.get(f"/api/v1/audit?subject={key['id']}&order=asc"))]
    assert events == ["key_created", "key_rotated", "key_revoked"]


def test_another_tenants_key_is_not_there(town: Town) -> None:
    key, elsewhere = made(town), Town.found(town.app, "Other")
    assert data(elsewhere.admin.get(PATH)) == []
    for line in ("GET {}", "DELETE {}", "POST {}/rotate"):
        body = {} if line.startswith("POST") else None
        answer = elsewhere.admin.call(line.format(f"{PATH}/{key['id']}"), body)
        assert refusal(answer) == (404, "KEY_NOT_FOUND")
    assert holder(town, key).get("/api/v1/auth/verify").status_code == 200


def test_keys_from_the_command_line(town: Town, run: CliRunner) -> None:
    tenant = ("--tenant", str(town.tenant))
    scopes = ("--scope", "ops:read", "--scope", "artifacts:read")
    printed = run.invoke(moorage, ("key", "create", *tenant, "--name", "CI", *scopes))
    assert printed.exit_code == 0, printed.output
    person = Person(town.app.test_client(), printed.stdout.strip())
    assert person.get("/api/v1/leases").status_code == 200
    [key] = data(town.admin.get(PATH))
    assert key["id"] in run.invoke(moorage, ("key", "list", *tenant)).stdout
    rotated = run.invoke(moorage, ("key", "rotate", *tenant, "--grace", "0", key["id"]))
    assert refusal(person.get("/api/v1/auth/verify")) == (401, "TOKEN_INVALID")
    again = Person(town.app.test_client(), rotated.stdout.strip())
    assert again.get("/api/v1/auth/verify").status_code == 200
    assert run.invoke(moorage, ("key", "revoke", *tenant, key["id"])).exit_code == 0
    assert refusal(again.get("/api/v1/auth/verify")) == (401, "TOKEN_INVALID")
    lost = run.invoke(moorage, ("key", "revoke", *tenant, "nonsense"))
    assert lost.exit_code == 1 and lost.stderr.startswith("KEY_NOT_FOUND")
