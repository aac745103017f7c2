"""Machines and leases by HTTP: each refusal of the contract, and what a lease lives through."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from sqlalchemy import text

from tests.api.people import Person, Town, data, its, refusal

VM = "vm-0000-0001"


def lease_body(**changes: Any) -> dict[str, Any]:
    return {"vm_uuid": VM, "agent_id": "a", "runner_id": "r", "module": "app", **changes}


def sql(town: Town, statement: str, **values: Any) -> Any:
    with its(town.app).database.transaction(town.tenant) as session:
        return session.execute(text(statement), values)


@pytest.fixture
def licensed(town: Town) -> Town:
    """A tenant with a licence, whose member has a machine and may use the module `app`."""
    data(town.admin.post("/api/v1/licenses", {"type": "perpetual"}), 201)
    data(town.admin.post("/api/v1/entitlements", {"user_id": "member-1", "module": "app"}), 201)
    data(town.member.post("/api/v1/vm/register", {"vm_uuid": VM.upper()}), 201)
    return town


def take(person: Person, **changes: Any) -> dict[str, Any]:
    return dict(data(person.post("/api/v1/license/lease", lease_body(**changes)), 201))


def test_a_record_has_what_was_given_and_times_in_milliseconds(town: Town) -> None:
    given = {"vm_uuid": "VM:Abc_1-2345", "vm_name": "Office", "project_id": "p1", "metadata": {"os": "debian"}}
    record = data(town.member.post("/api/v1/vm/register", given), 201)
    assert record["vm_uuid"] == "vm:abc_1-2345" and record["user_id"] == "member-1"
    assert (record["vm_name"], record["project_id"], record["status"]) == ("Office", "p1", "active")
    assert record["metadata"] == {"os": "debian"} and record["tenant_id"] == str(town.tenant)
    assert isinstance(record["created_at"], int) and record["updated_at"] >= record["created_at"] > 1_700_000_000_000
    assert data(town.viewer.get("/api/v1/vm/VM:ABC_1-2345/resolve")) == record


def test_registering_again_updates_and_leaves_out_nothing(licensed: Town) -> None:
    data(licensed.member.post("/api/v1/vm/register", {"vm_uuid": VM, "vm_name": "One"}), 201)
    again = data(licensed.member.post("/api/v1/vm/register", {"vm_uuid": VM, "status": "paused"}), 201)
    assert (again["vm_name"], again["status"]) == ("One", "paused")
    assert "project_id" not in again and "metadata" not in again


def test_a_number_beyond_64_bits_is_kept_and_does_not_spoil_the_list(town: Town) -> None:
    """Found by the fuzz tests: PostgreSQL gives 1e308 back as 309 digits, which no answer could be made of."""
    large = {"float": 1.7976931348623157e308, "least": -1e300, "integer": 2**64 - 1, "list": [1e22]}
    made = data(town.member.post("/api/v1/vm/register", {"vm_uuid": "vm-large-1", "metadata": large}), 201)
    assert made["metadata"] == large
    assert data(town.member.get("/api/v1/vm/vm-large-1/resolve"))["metadata"] == large
    assert [vm["metadata"] for vm in data(town.member.get("/api/v1/vms"))] == [large]


def test_a_machine_cannot_be_taken_over(licensed: Town) -> None:
    other = licensed.person("member", "member-2")
    refused = other.post("/api/v1/vm/register", {"vm_uuid": VM, "vm_name": "mine"})
    assert refusal(refused) == (403, "VM_OWNER_MISMATCH")
    assert data(licensed.member.get(f"/api/v1/vm/{VM}/resolve"))["user_id"] == "member-1"
    moved = data(licensed.infra.post("/api/v1/vm/register", {"vm_uuid": VM, "user_id": "member-2"}), 201)
    assert moved["user_id"] == "member-2"


def test_registering_for_somebody_else_is_for_managers(town: Town) -> None:
    body = {"vm_uuid": VM, "user_id": "somebody"}
    assert refusal(town.member.post("/api/v1/vm/register", body)) == (403, "FORBIDDEN")
    assert data(town.infra.post("/api/v1/vm/register", body), 201)["user_id"] == "somebody"


def test_a_revoked_machine_is_not_made_active_by_its_own_user(licensed: Town) -> None:
    data(licensed.admin.post("/api/v1/vm/register", {"vm_uuid": VM, "status": "revoked"}), 201)
    back = {"vm_uuid": VM, "status": "active"}
    assert refusal(licensed.member.post("/api/v1/vm/register", back)) == (403, "VM_INACTIVE")
    assert data(licensed.member.post("/api/v1/vm/register", {"vm_uuid": VM}), 201)["status"] == "revoked"
    assert data(licensed.admin.post("/api/v1/vm/register", back), 201)["status"] == "active"


def test_of_two_who_register_at_once_one_owns_it(town: Town) -> None:
    people = [town.person("member", f"racer-{number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda person: person.post("/api/v1/vm/register", {"vm_uuid": VM}), people))
    assert sorted(answer.status_code for answer in answers) == [201, 403, 403, 403, 403, 403]


@pytest.mark.parametrize("uuid", ["short", "x" * 129, "vm with blanks", "vm/0000/0001", "vm-0000-000é", ""])
def test_a_uuid_must_look_like_one(town: Town, uuid: str) -> None:
    assert refusal(town.member.post("/api/v1/vm/register", {"vm_uuid": uuid})) == (400, "VALIDATION_ERROR")


def test_an_unknown_machine(town: Town) -> None:
    assert refusal(town.member.get("/api/v1/vm/vm-none-0001/resolve")) == (404, "VM_UUID_NOT_FOUND")


def test_a_lease_says_whose_it_is_and_its_token_too(licensed: Town) -> None:
    lease = take(licensed.member, version="1.0")
    assert set(lease) == {"lease_id", "token", "expires_at", "tenant_id", "user_id", "vm_uuid", "module"}
    secret = its(licensed.app).settings.license_lease_secret.reveal()
    claims = jwt.decode(lease["token"], secret, algorithms=["HS256"])
    assert claims["jti"] == lease["lease_id"] and claims["sub"] == "r" and claims["agent_id"] == "a"
    assert claims["exp"] - claims["iat"] == 300 and claims["license_id"]
    assert abs(claims["exp"] * 1000 - lease["expires_at"]) < 2000


def test_the_token_is_not_kept(licensed: Town) -> None:
    token = take(licensed.member)["token"]
    row = sql(licensed, "SELECT * FROM licensing_leases").mappings().one()
    assert token not in str(dict(row)) and token.encode() not in bytes(row["token_digest"])


REFUSED: list[tuple[str, list[str], dict[str, Any], tuple[int, str]]] = [
    ("unknown machine", [], {"vm_uuid": "vm-none-0001"}, (404, "VM_NOT_REGISTERED")),
    ("paused machine", ["UPDATE licensing_vms SET status = 'paused'"], {}, (403, "VM_INACTIVE")),
    ("another's machine", ["UPDATE licensing_vms SET user_id = 'x'"], {}, (403, "VM_OWNER_MISMATCH")),
    ("no licence", ["DELETE FROM licensing_licenses"], {}, (403, "LICENSE_INACTIVE")),
    ("suspended", ["UPDATE licensing_licenses SET status = 'suspended'"], {}, (403, "LICENSE_INACTIVE")),
    (
        "licence over",
        ["UPDATE licensing_licenses SET type = 'subscription', ends_at = now() - interval '1 s'"],
        {},
        (403, "LICENSE_INACTIVE"),
    ),
    ("another user's licence", ["UPDATE licensing_licenses SET user_id = 'x'"], {}, (403, "LICENSE_INACTIVE")),
    ("no entitlement", ["DELETE FROM licensing_entitlements"], {}, (403, "ENTITLEMENT_REQUIRED")),
    ("another module", [], {"module": "other"}, (403, "MODULE_NOT_ALLOWED")),
    ("for somebody else", [], {"user_id": "x"}, (403, "FORBIDDEN")),
]


@pytest.mark.parametrize(("before", "change", "told"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_no_lease_for(licensed: Town, before: list[str], change: dict[str, Any], told: tuple[int, str]) -> None:
    for statement in before:
        sql(licensed, statement)
    assert refusal(licensed.member.post("/api/v1/license/lease", lease_body(**change))) == told


def test_a_star_allows_every_module_and_a_users_own_licence_counts(licensed: Town) -> None:
    sql(licensed, "UPDATE licensing_entitlements SET module = '*'")
    sql(licensed, "UPDATE licensing_licenses SET user_id = 'member-1'")
    assert take(licensed.member, module="anything")["module"] == "anything"


def test_a_manager_takes_leases_for_others(licensed: Town) -> None:
    assert take(licensed.infra, user_id="member-1")["user_id"] == "member-1"


def test_a_heartbeat_prolongs_and_gives_the_next_token(licensed: Town) -> None:
    lease = take(licensed.member)
    sql(licensed, "UPDATE licensing_leases SET expires_at = now() + interval '5 s'")
    beat = data(licensed.member.post("/api/v1/license/heartbeat", {"lease_id": lease["lease_id"]}))
    assert set(beat) == {"lease_id", "status", "expires_at", "last_heartbeat_at", "token"}
    assert beat["status"] == "active" and beat["expires_at"] - beat["last_heartbeat_at"] == 300_000
    secret = its(licensed.app).settings.license_lease_secret.reveal()
    assert jwt.decode(beat["token"], secret, algorithms=["HS256"])["jti"] == lease["lease_id"]


def test_no_lease_lives_longer_than_a_day(licensed: Town) -> None:
    lease = take(licensed.member)
    sql(licensed, "UPDATE licensing_leases SET created_at = now() - interval '23 h 59 min 30 s'")
    beat = data(licensed.member.post("/api/v1/license/heartbeat", {"lease_id": lease["lease_id"]}))
    assert 29_000 < beat["expires_at"] - beat["last_heartbeat_at"] <= 30_000


BEATS: list[tuple[str, str, str, tuple[int, str]]] = [
    ("unknown", "member", "UPDATE licensing_leases SET id = gen_random_uuid()", (404, "LEASE_NOT_FOUND")),
    ("another's", "member", "UPDATE licensing_leases SET user_id = 'x'", (403, "LEASE_OWNER_MISMATCH")),
    ("revoked", "member", "UPDATE licensing_leases SET status = 'revoked'", (409, "LEASE_INACTIVE")),
    ("over", "member", "UPDATE licensing_leases SET expires_at = now() - interval '1 s'", (409, "LEASE_EXPIRED")),
    ("viewer", "viewer", "SELECT 1", (403, "FORBIDDEN")),
]


@pytest.mark.parametrize(("role", "before", "told"), [case[1:] for case in BEATS], ids=[case[0] for case in BEATS])
def test_no_heartbeat_for(licensed: Town, role: str, before: str, told: tuple[int, str]) -> None:
    lease = take(licensed.member)
    sql(licensed, before)
    untouched = sql(licensed, "SELECT expires_at FROM licensing_leases").scalar_one()
    answer = licensed.person(role).post("/api/v1/license/heartbeat", {"lease_id": lease["lease_id"]})
    assert refusal(answer) == told
    assert sql(licensed, "SELECT expires_at FROM licensing_leases").scalar_one() == untouched


def test_a_heartbeat_of_a_dead_session_does_nothing(licensed: Town) -> None:
    lease = take(licensed.member)
    sql(licensed, "UPDATE auth_sessions SET revoked_at = now() WHERE user_id = 'member-1'")
    answer = licensed.member.post("/api/v1/license/heartbeat", {"lease_id": lease["lease_id"]})
    assert refusal(answer) == (401, "TOKEN_INVALID")
    assert sql(licensed, "SELECT last_heartbeat_at FROM licensing_leases").scalar_one() is None


@pytest.mark.parametrize("lease_id", ["none", "00000000-0000-0000-0000-000000000000"])
def test_an_id_that_cannot_be_one_is_not_known(town: Town, lease_id: str) -> None:
    for path, person in (("heartbeat", town.member), ("revoke", town.infra)):
        answer = person.post(f"/api/v1/license/{path}", {"lease_id": lease_id})
        assert refusal(answer) == (404, "LEASE_NOT_FOUND")


def test_revoking_is_for_managers_and_over_at_once(licensed: Town) -> None:
    lease = take(licensed.member)["lease_id"]
    body = {"lease_id": lease, "reason": "moved"}
    assert refusal(licensed.member.post("/api/v1/license/revoke", body)) == (403, "FORBIDDEN")
    first = data(licensed.infra.post("/api/v1/license/revoke", body))
    assert (first["lease_id"], first["status"]) == (lease, "revoked") and isinstance(first["revoked_at"], int)
    assert data(licensed.admin.post("/api/v1/license/revoke", body)) == first
    assert refusal(licensed.member.post("/api/v1/license/heartbeat", {"lease_id": lease})) == (409, "LEASE_INACTIVE")


def test_another_tenants_lease_is_no_lease(licensed: Town, elsewhere: Town) -> None:
    lease = take(licensed.member)["lease_id"]
    unknown = elsewhere.admin.post("/api/v1/license/heartbeat", {"lease_id": "00000000-0000-0000-0000-000000000000"})
    assert elsewhere.admin.post("/api/v1/license/heartbeat", {"lease_id": lease}).json == unknown.json


def test_licences_and_entitlements_are_the_admins(licensed: Town) -> None:
    assert refusal(licensed.infra.post("/api/v1/licenses", {"type": "perpetual"})) == (403, "FORBIDDEN")
    [known] = data(licensed.admin.get("/api/v1/licenses"))
    changed = data(licensed.admin.call(f"PATCH /api/v1/licenses/{known['id']}", {"status": "suspended"}))
    assert changed["status"] == "suspended" and changed["updated_at"] >= known["updated_at"]
    [entitled] = data(licensed.admin.get("/api/v1/entitlements?user_id=member-1"))
    gone = data(licensed.admin.call(f"DELETE /api/v1/entitlements/{entitled['id']}"))
    assert gone == {"id": entitled["id"], "deleted": True}
    assert data(licensed.admin.get("/api/v1/entitlements")) == []


@pytest.mark.parametrize(
    "body",
    [{"type": "subscription"}, {"type": "perpetual", "ends_at": "2030-01-01T00:00:00Z"}, {"type": "gift"},
     {"type": "subscription", "ends_at": "tomorrow"}],
)  # fmt: skip
def test_a_licence_that_cannot_be(town: Town, body: dict[str, str]) -> None:
    assert refusal(town.admin.post("/api/v1/licenses", body)) == (400, "VALIDATION_ERROR")
