"""Secrets: ciphertext in, metadata out, and ciphertext out for the one agent whose command may use it."""

from __future__ import annotations

import base64
import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from click.testing import CliRunner
from nacl.public import PrivateKey, SealedBox

from tests.api.fleet import Fleeted, enlist, key_of, order
from tests.api.people import Person, Town, data, its, refusal
from webapp.cli import moorage

SECRETS, BINDINGS = "/api/v1/secrets", "/api/v1/secrets/bindings"
UNKNOWN = "00000000-0000-0000-0000-000000000000"


def sealed(**changes: Any) -> dict[str, Any]:
    cipher = base64.b64encode(secrets.token_bytes(60)).decode()
    return {"label": "At the office", "ciphertext": cipher, "key_id": "k-1", "nonce": "n-1", **changes}


@pytest.fixture
def agent(town: Town) -> Fleeted:
    return enlist(town, public_key=base64.b64encode(bytes(PrivateKey.generate().public_key)).decode())


def stored(by: Person, **changes: Any) -> dict[str, Any]:
    return dict(data(by.post(SECRETS, sealed(**changes)), 201))


def bound(by: Person, secret: dict[str, Any], scope: str, scope_id: str, field: str = "api_key") -> dict[str, Any]:
    given = {"scope_type": scope, "scope_id": scope_id, "secret_ref": secret["id"], "field_name": field}
    return dict(data(by.post(BINDINGS, given), 201))


def handed(town: Town, agent: Fleeted, **params: Any) -> list[dict[str, Any]]:
    """What the agent gets for a new command."""
    command = order(town, agent, action="status", **params)
    assert agent.next()["id"] == command["id"]
    return list(data(agent.get(f"/api/v1/agents/{agent.id}/secrets?command_id={command['id']}")))


def test_what_is_told_of_a_secret_is_never_its_ciphertext(town: Town) -> None:
    given = sealed(aad_meta={"for": "syncthing"})
    made = data(town.member.post(SECRETS, given), 201)
    assert set(made) == {"id", "tenant_id", "label", "alg", "key_id", "aad_meta", "version", "rotated_at", "created_at",
                         "updated_at"}  # fmt: skip
    assert (made["alg"], made["version"], made["rotated_at"]) == ("AES-256-GCM", 1, None)
    assert made["created_at"].endswith("Z") and made["aad_meta"] == {"for": "syncthing"}
    seen = town.viewer.get(f"{SECRETS}/{made['id']}/meta")
    assert data(seen) == made and data(town.viewer.get(SECRETS)) == [made]
    assert given["ciphertext"] not in seen.text


def test_the_agent_gets_bit_by_bit_what_was_stored(town: Town, agent: Fleeted) -> None:
    for scope, scope_id in (("agent", agent.id), ("tenant", str(town.tenant)), ("vm", "VM-77"), ("bot", "b-1")):
        given = sealed(label=scope, ciphertext=base64.b64encode(secrets.token_bytes(3000)).decode())
        made = dict(data(town.admin.post(SECRETS, given), 201))
        bound(town.admin, made, scope, scope_id, f"field-{scope}")
        got = {one["field_name"]: one for one in handed(town, agent, vm_uuid="vm-77", bot_id="b-1")}
        one = got[f"field-{scope}"]
        assert {name: one[name] for name in ("ciphertext", "nonce", "key_id", "label")} == {
            name: given[name] for name in ("ciphertext", "nonce", "key_id", "label")
        }
        assert (one["id"], one["scope_type"], one["version"]) == (made["id"], scope, 1)
    plain = {one["field_name"] for one in handed(town, agent)}
    assert plain == {"field-agent", "field-tenant"}, "the command names no machine and no bot"


def test_nobody_else_gets_ciphertext(town: Town, elsewhere: Town, agent: Fleeted) -> None:
    bound(town.admin, stored(town.admin), "agent", agent.id)
    other, stranger = enlist(town), enlist(elsewhere)
    command = order(town, agent, action="status")
    path = f"/api/v1/agents/{agent.id}/secrets?command_id={command['id']}"
    assert refusal(agent.get(path)) == (404, "COMMAND_NOT_FOUND"), "it is queued, and no agent is at it"
    assert agent.next()["id"] == command["id"]
    for who in (town.admin, town.infra, town.member, town.viewer, key_of(town, "secrets:write")):
        assert refusal(who.get(path)) == (403, "FORBIDDEN")
    assert refusal(other.get(path)) == refusal(stranger.get(path)) == (404, "AGENT_NOT_FOUND")
    own = f"/api/v1/agents/{other.id}/secrets?command_id={command['id']}"
    assert refusal(other.get(own)) == (404, "COMMAND_NOT_FOUND")
    assert len(data(agent.get(path))) == 1


def test_two_versions_live_until_the_agent_has_the_new_one(town: Town, agent: Fleeted) -> None:
    made = stored(town.admin)
    bound(town.admin, made, "agent", agent.id)
    ack = f"/api/v1/agents/{agent.id}/secrets/{made['id']}/ack"
    assert refusal(agent.post(ack, {"version": 1})) == (404, "SECRET_NOT_FOUND"), "it was not handed this"
    handed(town, agent)
    data(agent.post(ack, {"version": 1}))
    rotated = data(town.admin.post(f"{SECRETS}/{made['id']}/rotate", {"ciphertext": "bmV3", "key_id": "k-2",
                                                                      "nonce": "n-2"}))  # fmt: skip
    assert (rotated["version"], rotated["key_id"]) == (2, "k-2") and rotated["rotated_at"].endswith("Z")
    assert sorted(one["version"] for one in handed(town, agent)) == [1, 2]
    data(agent.post(ack, {"version": 2}))
    data(agent.post(ack, {"version": 2}))
    assert [one["version"] for one in handed(town, agent)] == [2]
    assert refusal(agent.post(ack, {"version": 3})) == (404, "SECRET_NOT_FOUND")


def test_a_member_rotates_and_binds_what_is_theirs(town: Town, agent: Fleeted) -> None:
    made = stored(town.admin)
    body = {"ciphertext": "bmV3", "key_id": "k", "nonce": "n"}
    assert refusal(town.member.post(f"{SECRETS}/{made['id']}/rotate", body)) == (403, "FORBIDDEN")
    given = {"scope_type": "tenant", "scope_id": str(town.tenant), "secret_ref": made["id"], "field_name": "x"}
    assert refusal(town.member.post(BINDINGS, given)) == (403, "FORBIDDEN")
    own = stored(town.member)
    data(town.member.post(f"{SECRETS}/{own['id']}/rotate", body))
    binding = bound(town.member, own, "tenant", str(town.tenant), "x")
    others = enlist(town, by=town.admin)
    assert handed(town, others) == [], "a member's binding reaches that member's agents alone"
    assert {one["id"] for one in handed(town, agent)} == {own["id"]}
    gone = data(town.member.call(f"DELETE {BINDINGS}/{binding['id']}"))
    assert gone == {"id": binding["id"], "deleted": True}


WRITES: list[tuple[str, int]] = [("admin", 201), ("infra", 201), ("member", 201), ("viewer", 403)]


@pytest.mark.parametrize(("role", "status"), WRITES, ids=[role for role, _ in WRITES])
def test_who_may_store(town: Town, role: str, status: int) -> None:
    assert town.person(role).post(SECRETS, sealed()).status_code == status
    assert key_of(town, "secrets:write").post(SECRETS, sealed()).status_code == 201
    assert key_of(town, "ops:write").post(SECRETS, sealed()).status_code == 403


@pytest.mark.parametrize("ref", [UNKNOWN, "no-uuid"])
def test_an_unknown_secret(town: Town, ref: str) -> None:
    body = {"ciphertext": "bmV3", "key_id": "k", "nonce": "n"}
    given = {"scope_type": "tenant", "scope_id": "x", "secret_ref": ref, "field_name": "x"}
    for answer in (
        town.admin.get(f"{SECRETS}/{ref}/meta"),
        town.admin.post(f"{SECRETS}/{ref}/rotate", body),
        town.admin.post(BINDINGS, given),
    ):
        assert refusal(answer) == (404, "SECRET_NOT_FOUND")


def test_another_tenants_secret_is_none(town: Town, elsewhere: Town) -> None:
    made = stored(town.admin)
    assert refusal(elsewhere.admin.get(f"{SECRETS}/{made['id']}/meta")) == (404, "SECRET_NOT_FOUND")
    assert data(elsewhere.admin.get(SECRETS)) == []


BAD: list[dict[str, Any]] = [
    {"alg": "ROT13"}, {"label": ""}, {"label": "x" * 201}, {"key_id": "k" * 201}, {"nonce": "n" * 201},
    {"ciphertext": ""}, {"ciphertext": 7}, {"plaintext": "x"},
]  # fmt: skip


@pytest.mark.parametrize("change", BAD, ids=[str(change)[:24] for change in BAD])
def test_a_body_that_cannot_be(town: Town, change: dict[str, Any]) -> None:
    assert refusal(town.admin.post(SECRETS, sealed(**change))) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("name", ["password", "DB_PASSWORD", "apiKey", "api-key", "x.token", "Secret", "private_key"])
def test_plaintext_is_refused_by_its_name_at_any_depth(town: Town, name: str) -> None:
    answer = town.admin.post(SECRETS, sealed(aad_meta={"list": [{name: "hunter2hunter2"}]}))
    assert refusal(answer) == (400, "PLAINTEXT_SECRET_REFUSED")
    assert name in answer.json["error"]["message"] and "hunter2" not in answer.text
    data(town.admin.post(SECRETS, sealed(aad_meta={f"{name}_ref": "x", name: ""})), 201)


def test_the_allow_list_is_the_admins_and_audited(town: Town) -> None:
    path = f"{SECRETS}/allowances"
    assert refusal(town.infra.get(path)) == (403, "FORBIDDEN")
    told = data(town.admin.call(f"PUT {path}", {"paths": ["records.bots.token", "records.bots.token", "a.secret"]}))
    assert told == data(town.admin.get(path)) == {"paths": ["a.secret", "records.bots.token"]}
    [event] = data(town.admin.get("/api/v1/audit?event=secret_allowances_changed"))
    assert event["details"]["added"] == ["a.secret", "records.bots.token"]


def test_seal_makes_what_only_the_agent_opens(town: Town) -> None:
    key = PrivateKey.generate()
    public = base64.b64encode(bytes(key.public_key)).decode()
    options = ["secret", "seal", "--label", "Office", "--public-key", public]
    result = CliRunner().invoke(moorage, options, input="canary of a secret\n")
    assert result.exit_code == 0 and "canary" not in result.output
    body = json.loads(result.stdout)
    made = data(town.member.post(SECRETS, body), 201)
    assert made["alg"] == "X25519-XSALSA20-POLY1305" and made["key_id"].startswith("x25519:")
    assert SealedBox(key).decrypt(base64.b64decode(body["ciphertext"])) == b"canary of a secret"


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "Give --public-key"), (["--public-key", "abc"], "KEY_UNFIT"),
     (["--agent", "a", "--server", "http://127.0.0.1:1", "--token", "t"], "SERVER_REFUSED")],
)  # fmt: skip
def test_seal_says_what_it_lacks(options: list[str], said: str) -> None:
    result = CliRunner().invoke(moorage, ["secret", "seal", "--label", "x", *options], input="canary\n")
    assert result.exit_code != 0 and result.stdout == "" and said in result.stderr and "canary" not in result.output


def test_nothing_of_it_is_in_the_audit_log(town: Town, agent: Fleeted) -> None:
    given = sealed()
    bound(town.admin, dict(data(town.admin.post(SECRETS, given), 201)), "agent", agent.id)
    handed(town, agent)
    events = town.admin.get("/api/v1/audit?limit=200")
    assert {"secret_created", "binding_created", "secret_fetched"} <= {one["event"] for one in data(events)}
    assert given["ciphertext"] not in events.text and its(town.app).settings.session_secret.reveal() not in events.text


def test_of_two_who_set_the_allowances_at_once_the_seconds_list_stands_alone(town: Town) -> None:
    """Found by the fuzz tests' races: the second one failed on the first one's rows, or both lists stood."""
    lists = [[f"records.bots.token_{number}", "records.bots.password"] for number in range(8)]
    people = [town.person("admin", f"admin-{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        put = pool.map(lambda one, paths: one.call("PUT /api/v1/secrets/allowances", {"paths": paths}), people, lists)
        answers = [data(answer)["paths"] for answer in put]
    assert answers == [sorted(paths) for paths in lists]
    assert data(town.admin.get("/api/v1/secrets/allowances"))["paths"] in answers
