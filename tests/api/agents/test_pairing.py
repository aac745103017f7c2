"""Pairing and registering: a code works once, for one tenant, and is nowhere readable."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from tests.api.fleet import code_of, enlist
from tests.api.people import Town, data, its, refusal
from webapp import create_app
from webapp.agents.codes import digest_of
from webapp.agents.jobs import forget_pending
from webapp.settings import Settings

PAIRINGS, REGISTER = "/api/v1/agents/pairings", "/api/v1/agents/register"
KEY = {"Idempotency-Key": "of-the-agent"}


def register(client: FlaskClient, code: str, headers: dict[str, str] | None = None, **said: Any) -> Any:
    return client.post(REGISTER, json={"pairing_code": code, **said}, headers=headers or {})


def late(town: Town) -> None:
    with its(town.app).database.transaction(town.tenant) as session:
        session.execute(text("UPDATE agent_pairings SET expires_at = now() - interval '2 days'"))


def test_a_pairing_says_all_that_an_agent_needs(town: Town) -> None:
    made = code_of(town, name="rack 4")
    assert set(made) == {
        "id", "tenant_id", "owner_user_id", "name", "status", "pairing_code", "pairing_expires_at", "pairing_bundle",
        "pairing_uri", "pairing_url", "server_url",
    }  # fmt: skip
    assert (made["tenant_id"], made["owner_user_id"], made["name"]) == (str(town.tenant), "member-1", "rack 4")
    assert made["status"] == "pending" and made["server_url"] == "http://localhost"
    left = datetime.fromisoformat(made["pairing_expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    shown = data(town.member.get(f"/api/v1/agents/{made['id']}"))
    assert shown["status"] == "pending" and shown["last_seen_at"] is None


def test_the_server_is_the_one_that_the_settings_name(settings: Settings, environment: dict[str, str]) -> None:
    app = create_app(Settings.parse(environment | {"PUBLIC_URL": "https://moorage.example"}))
    made = code_of(Town.found(app))
    assert made["server_url"] == "https://moorage.example"
    assert made["pairing_url"].startswith("https://moorage.example/")


@pytest.mark.parametrize(
    "body", [{"expires_in_minutes": 4}, {"expires_in_minutes": 1441}, {"name": "x" * 201}, {"x": 1}]
)
def test_a_pairing_that_is_not_as_it_should_be(town: Town, body: dict[str, Any]) -> None:
    assert refusal(town.member.post(PAIRINGS, body)) == (400, "VALIDATION_ERROR")


def test_only_managers_pair_for_others(town: Town) -> None:
    for role in ("admin", "infra"):
        assert code_of(town, town.person(role), owner_user_id="member-7")["owner_user_id"] == "member-7"
    assert refusal(town.member.post(PAIRINGS, {"owner_user_id": "member-7"})) == (403, "FORBIDDEN")
    assert code_of(town, owner_user_id="member-1")["owner_user_id"] == "member-1"


def test_registering_makes_an_agent_of_the_codes_tenant(town: Town, client: FlaskClient) -> None:
    pairing = code_of(town)
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    said = {"machine_name": "pve1", "version": "1", "platform": "linux", "capabilities": ["proxmox"], "public_key": key}
    made = data(register(client, pairing["pairing_code"].lower(), **said), 201)
    assert set(made) == {"id", "tenant_id", "name", "status", "paired_at", "agent_token", "agent_token_expires_at"}
    assert (made["id"], made["tenant_id"], made["status"]) == (pairing["id"], str(town.tenant), "active")
    left = datetime.fromisoformat(made["agent_token_expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)
    shown = data(town.viewer.get(f"/api/v1/agents/{made['id']}"))
    assert {name: shown[name] for name in said} == said
    assert shown["key_id"] == "x25519:66687aadf862bd776c8fc18b8e9f8e20"
    assert "agent_token" not in shown and "digest" not in shown


def test_a_code_works_once_and_for_a_while(town: Town, client: FlaskClient) -> None:
    code = code_of(town)["pairing_code"]
    data(register(client, code), 201)
    assert refusal(register(client, code)) == (410, "PAIRING_EXPIRED")
    old = code_of(town)["pairing_code"]
    late(town)
    assert refusal(register(client, old)) == (410, "PAIRING_EXPIRED")
    for unknown in ("0000-0000-0000-0000", "not a code"):
        assert refusal(register(client, unknown)) == (404, "PAIRING_NOT_FOUND")


def test_of_many_that_use_a_code_at_once_one_becomes_the_agent(town: Town, app: Flask) -> None:
    code = code_of(town)["pairing_code"]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: register(app.test_client(), code).status_code, range(6)))
    assert sorted(answers) == [201, 410, 410, 410, 410, 410]


def test_a_lost_answer_is_given_again_for_the_same_idempotency_key(town: Town, client: FlaskClient) -> None:
    code = code_of(town)["pairing_code"]
    first, again = register(client, code, KEY), register(client, code, KEY)
    assert data(first, 201) == data(again, 201) and again.headers["Idempotency-Replayed"] == "true"
    assert refusal(register(client, code_of(town)["pairing_code"], KEY)) == (409, "IDEMPOTENCY_KEY_REUSED")


def test_neither_code_nor_token_is_kept(town: Town, client: FlaskClient) -> None:
    code = code_of(town)["pairing_code"]
    token = data(register(client, code, {"Idempotency-Key": "kept"}), 201)["agent_token"]
    with its(town.app).database.transaction(town.tenant) as session:
        rows = [
            str(row)
            for table in ("agents", "agent_pairings", "audit_events", "idempotency_keys")
            for row in session.execute(text(f"SELECT t::text FROM {table} t")).scalars()
        ]
    assert rows and not any(code in row or code.replace("-", "") in row or token in row for row in rows)
    assert token.encode().hex() not in "".join(rows)


def test_a_codes_row_opens_to_its_digest_alone(town: Town) -> None:
    code = code_of(town)["pairing_code"]
    digest = digest_of(code)
    assert digest is not None
    count = text("SELECT count(*) FROM agent_pairings")
    unknown = {"pairing": "00" * 32}
    for claims, seen in (({"pairing": digest.hex()}, 1), (unknown, 0), ({}, 0), ({"door": "pairing"}, 0)):
        with its(town.app).database.transaction(None, **claims) as session:
            assert session.execute(count).scalar_one() == seen


def test_a_revoked_pairing_cannot_be_used(town: Town, client: FlaskClient) -> None:
    pairing = code_of(town)
    data(town.admin.post(f"/api/v1/agents/{pairing['id']}/revoke"))
    assert refusal(register(client, pairing["pairing_code"])) == (410, "PAIRING_EXPIRED")


def test_pairing_and_registering_are_in_the_audit_log(town: Town) -> None:
    agent = enlist(town)
    data(town.admin.post(f"/api/v1/agents/{agent.id}/revoke", {"reason": "sold"}))
    events = data(town.admin.get(f"/api/v1/audit?subject={agent.id}&order=asc"))
    assert [(event["event"], event["actor_kind"]) for event in events] == [
        ("agent_pairing_created", "user"), ("agent_paired", "agent"), ("agent_registered", "agent"),
        ("agent_revoked", "user"),
    ]  # fmt: skip
    assert events[-1]["reason"] == "sold"


def test_codes_that_nobody_used_are_forgotten(
    town: Town, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    unused, used = code_of(town)["id"], enlist(town).id
    late(town)
    forget_pending(timestamp=0)
    assert [agent["id"] for agent in data(town.admin.get("/api/v1/agents"))] == [used] != [unused]
