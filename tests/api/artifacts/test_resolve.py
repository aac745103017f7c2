"""From a lease token to a URL: every refusal in its order, one audit row each, and a URL that works for a minute."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import Any
from uuid import uuid4

import jwt
import pytest

from tests.api.artifacts.conftest import Depot, released
from tests.api.people import Person, Town, data, its, refusal


def fetched(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def test_the_url_gives_the_bytes_and_one_row_says_so(depot: Depot) -> None:
    got = data(depot.resolve())
    assert set(got) == {
        "download_url", "url_expires_at", "release_id", "version", "sha256", "size_bytes", "resolution_id",
    }  # fmt: skip
    assert fetched(got["download_url"]) == (200, depot.body)
    assert got["url_expires_at"] == pytest.approx(time.time() * 1000 + 60_000, abs=5000)
    [row] = depot.attempts()
    assert (row["event"], row["result"], row["user_id"]) == ("resolve_success", "allowed", "member-1")
    assert (row["vm_uuid"], row["module"], row["release_id"]) == ("vm-0000-0001", "app", depot.release["id"])
    assert row["lease_id"] == depot.lease["lease_id"] and row["url_expires_at"] == got["url_expires_at"]
    assert row["client_address"] == "127.0.0.1" and "reason" not in row
    assert got["download_url"] not in str(row) and depot.lease["token"] not in str(row)


def test_an_altered_or_expired_url_is_worth_nothing(depot: Depot) -> None:
    url = data(depot.resolve())["download_url"]
    for wrong in (url[:-4] + "0000", url.replace("X-Amz-Expires=60", "X-Amz-Expires=86400"), url.partition("?")[0]):
        assert wrong != url and fetched(wrong)[0] in (400, 401, 403)


def forged(depot: Depot, how: str) -> str:
    secret = its(depot.town.app).settings.license_lease_secret.reveal()
    other = its(depot.town.app).settings.session_secret.reveal()
    claims = jwt.decode(depot.lease["token"], options={"verify_signature": False})
    less = {name: value for name, value in claims.items() if name != "license_id"}
    return {
        "none": lambda: jwt.encode(claims, None, algorithm="none"),
        "other secret": lambda: jwt.encode(claims, other, algorithm="HS256"),
        "other algorithm": lambda: jwt.encode(claims, secret, algorithm="HS512"),
        "a claim less": lambda: jwt.encode(less, secret, algorithm="HS256"),
        "not a token": lambda: "a.b.c",
        "bearer": lambda: depot.town.member.token,
        "no uuid": lambda: jwt.encode({**claims, "jti": "1"}, secret, algorithm="HS256"),
        "other tenant": lambda: jwt.encode({**claims, "tenant_id": str(uuid4())}, secret, algorithm="HS256"),
        "over": lambda: jwt.encode({**claims, "exp": int(time.time()) - 1}, secret, algorithm="HS256"),
        "other lease": lambda: jwt.encode({**claims, "jti": str(uuid4())}, secret, algorithm="HS256"),
    }[how]()


FORGED = {
    **dict.fromkeys(
        ["none", "other secret", "other algorithm", "a claim less", "not a token", "bearer", "no uuid"],
        (401, "UNAUTHORIZED"),
    ),
    "other tenant": (404, "LEASE_NOT_FOUND"),
    "over": (409, "LEASE_EXPIRED"),
    "other lease": (404, "LEASE_NOT_FOUND"),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_token_is_refused_and_noted(depot: Depot, how: str) -> None:
    assert refusal(depot.resolve(lease_token=forged(depot, how))) == FORGED[how]
    [row] = depot.attempts()
    assert (row["event"], row["result"], row["reason"]) == ("resolve_denied", "denied", FORGED[how][1])


# In the contract's order: each with all that come after it wrong as well.
STEPS: list[tuple[str, str | dict[str, str], tuple[int, str]]] = [
    ("other machine", {"vm_uuid": "vm-0000-0002"}, (403, "VM_UUID_MISMATCH")),
    ("other module", {"module": "other"}, (403, "MODULE_MISMATCH")),
    ("no lease", "UPDATE licensing_leases SET id = gen_random_uuid()", (404, "LEASE_NOT_FOUND")),
    ("revoked", "UPDATE licensing_leases SET status = 'revoked'", (409, "LEASE_INACTIVE")),
    ("lease over", "UPDATE licensing_leases SET expires_at = now()", (409, "LEASE_EXPIRED")),
    ("no machine", "UPDATE licensing_vms SET vm_uuid = 'vm-other-0001'", (404, "VM_NOT_REGISTERED")),
    ("paused", "UPDATE licensing_vms SET status = 'paused'", (403, "VM_INACTIVE")),
    ("other owner", "UPDATE licensing_vms SET user_id = 'x'", (403, "VM_OWNER_MISMATCH")),
    ("no licence", "UPDATE licensing_licenses SET status = 'suspended'", (403, "LICENSE_INACTIVE")),
    ("no entitlement", "UPDATE licensing_entitlements SET user_id = 'x'", (403, "ENTITLEMENT_REQUIRED")),
    ("not entitled", "UPDATE licensing_entitlements SET module = 'x'", (403, "MODULE_NOT_ALLOWED")),
    ("nothing assigned", {"platform": "windows"}, (404, "ARTIFACT_ASSIGNMENT_NOT_FOUND")),
    ("draft", "UPDATE artifact_releases SET status = 'draft'", (409, "ARTIFACT_RELEASE_NOT_ACTIVE")),
    ("no object", "UPDATE artifact_releases SET object_key = 'nowhere'", (404, "ARTIFACT_OBJECT_NOT_FOUND")),
    ("other size", "UPDATE artifact_releases SET size_bytes = 7", (409, "ARTIFACT_OBJECT_MISMATCH")),
]
# These two hide each other's table row, or are answered before a step that stands after them would be reached.
ALONE = {"revoked", "lease over", "no lease", "no machine", "paused", "other owner", "no entitlement", "not entitled"}


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[step[0] for step in STEPS])
def test_the_first_reason_in_the_contracts_order_is_told(depot: Depot, number: int) -> None:
    changes: dict[str, str] = {}
    for name, wrong, _ in STEPS[number:]:
        if name in ALONE and name != STEPS[number][0]:
            continue
        if isinstance(wrong, dict):
            changes |= wrong
        else:
            depot.sql(wrong)
    told = STEPS[number][2]
    assert refusal(depot.resolve(**changes)) == told
    [row] = depot.attempts()
    assert (row["event"], row["reason"], row["result"]) == ("resolve_denied", told[1], "denied")


def test_a_users_own_assignment_goes_before_everybodys(depot: Depot) -> None:
    newer = released(depot.town, b"two", version="2.0.0")
    own = {"module": "app", "platform": "linux", "release_id": newer["id"], "user_id": "member-1"}
    data(depot.town.infra.post("/api/v1/artifacts/assign", own), 201)
    assert data(depot.resolve())["version"] == "2.0.0"
    seen = data(depot.town.infra.get("/api/v1/artifacts/assign/member-1/app?platform=linux"))
    assert seen["effective_assignment"] == seen["user_assignment"] != seen["default_assignment"]
    assert (seen["user_assignment"]["is_default"], seen["default_assignment"]["user_id"]) == (False, None)
    other = data(depot.town.infra.get("/api/v1/artifacts/assign/somebody/app?platform=linux"))
    assert other["user_assignment"] is None and other["effective_assignment"] == other["default_assignment"]
    none = data(depot.town.infra.get("/api/v1/artifacts/assign/somebody/other"))
    assert none == {"user_assignment": None, "default_assignment": None, "effective_assignment": None}


def test_assigning_again_replaces(depot: Depot) -> None:
    newer = released(depot.town, b"two", version="2.0.0")
    scope = {"module": "app", "platform": "linux", "release_id": newer["id"]}
    made = data(depot.town.admin.post("/api/v1/artifacts/assign", scope), 201)
    assert made["user_id"] is None and made["is_default"] is True and isinstance(made["id"], int)
    assert depot.sql("SELECT count(*) FROM artifact_assignments").scalar_one() == 1
    assert data(depot.resolve())["release_id"] == newer["id"]


@pytest.mark.parametrize("change", [{"module": "b"}, {"platform": "b"}, {"channel": "b"}])
def test_a_release_is_assigned_only_to_its_own_scope(depot: Depot, change: dict[str, str]) -> None:
    scope = {"module": "app", "platform": "linux", "release_id": depot.release["id"], **change}
    assert refusal(depot.town.infra.post("/api/v1/artifacts/assign", scope)) == (409, "ARTIFACT_SCOPE_MISMATCH")


def test_another_tenants_object_does_not_exist(depot: Depot, elsewhere: Town) -> None:
    """A release may name any key; what another tenant has released is not given out for it."""
    stolen = {**depot.release, "module": "app"}
    given = {name: stolen[name] for name in ("module", "platform", "version", "object_key", "sha256", "size_bytes")}
    release = data(elsewhere.infra.post("/api/v1/artifacts/releases", given), 201)
    scope = {"module": "app", "platform": "linux", "release_id": release["id"]}
    data(elsewhere.infra.post("/api/v1/artifacts/assign", scope), 201)
    data(elsewhere.admin.post("/api/v1/licenses", {"type": "perpetual"}), 201)
    data(elsewhere.admin.post("/api/v1/entitlements", {"user_id": "member-1", "module": "*"}), 201)
    data(elsewhere.member.post("/api/v1/vm/register", {"vm_uuid": "vm-0000-0001"}), 201)
    taken = {"vm_uuid": "vm-0000-0001", "agent_id": "a", "runner_id": "r", "module": "app"}
    lease = data(elsewhere.member.post("/api/v1/license/lease", taken), 201)
    theirs = Depot(elsewhere, depot.body, release, lease)
    assert refusal(theirs.resolve()) == (404, "ARTIFACT_OBJECT_NOT_FOUND")
    assert data(depot.resolve())["release_id"] == depot.release["id"]


def test_a_lease_of_another_tenant_is_none(depot: Depot, elsewhere: Town) -> None:
    assert refusal(depot.resolve(by=elsewhere.member)) == (404, "LEASE_NOT_FOUND")
    assert depot.attempts() == []
    [row] = data(elsewhere.infra.get("/api/v1/artifacts/audit"))
    assert row["reason"] == "LEASE_NOT_FOUND"


def test_a_viewer_gets_no_url_and_a_row(depot: Depot) -> None:
    assert refusal(depot.resolve(by=depot.town.viewer)) == (403, "FORBIDDEN")
    assert depot.attempts()[0]["reason"] == "FORBIDDEN"


def test_a_dead_session_gets_no_url_and_no_row(depot: Depot) -> None:
    depot.sql("UPDATE auth_sessions SET revoked_at = now() WHERE user_id = 'member-1'")
    assert refusal(depot.resolve()) == (401, "TOKEN_INVALID")
    assert depot.attempts() == []


def test_without_its_row_there_is_no_url(depot: Depot) -> None:
    """The database takes no audit row: the answer is a failure that holds no URL."""
    from sqlalchemy import create_engine, text

    owner = its(depot.town.app).settings.database_owner_url
    assert owner is not None
    engine = create_engine(owner.render("postgresql+psycopg2"))
    limit = "ALTER TABLE audit_events {} CONSTRAINT no_success_now{}"
    rule = f" CHECK (tenant_id <> '{depot.town.tenant}' OR event <> 'resolve_success') NOT VALID"
    with engine.begin() as connection:
        connection.execute(text(limit.format("ADD", rule)))
    try:
        answer = depot.resolve()
    finally:
        with engine.begin() as connection:
            connection.execute(text(limit.format("DROP", "")))
        engine.dispose()
    assert answer.status_code >= 500 and "download_url" not in answer.text


def test_the_end_of_a_download_is_one_more_row(depot: Depot) -> None:
    got = data(depot.resolve())
    body: dict[str, Any] = {"resolution_id": got["resolution_id"], "lease_token": depot.lease["token"]}
    path = "/api/v1/artifacts/report-download"
    told = data(depot.town.member.post(path, {**body, "outcome": "verified", "bytes": 1000}))
    assert told == {"resolution_id": got["resolution_id"], "outcome": "verified"}
    assert data(depot.town.member.post(path, {**body, "outcome": "failed"})) == told
    row, success = depot.attempts()
    assert (row["event"], row["outcome"], row["bytes"]) == ("download_reported", "verified", 1000)
    assert row["resolution_id"] == str(success["id"]) and row["release_id"] == success["release_id"]


@pytest.mark.parametrize("resolution", ["0", "x", "9" * 30, "-1", "\uff11"])
def test_a_report_of_nothing(depot: Depot, resolution: str) -> None:
    body = {"resolution_id": resolution, "lease_token": depot.lease["token"], "outcome": "verified"}
    answer = depot.town.member.post("/api/v1/artifacts/report-download", body)
    assert refusal(answer) == (404, "RESOLUTION_NOT_FOUND")


ROLES = [("admin", 201), ("infra", 201), ("member", 403), ("viewer", 403)]


@pytest.mark.parametrize(("role", "status"), ROLES, ids=[f"{role}-{status}" for role, status in ROLES])
def test_who_may_release(town: Town, role: str, status: int) -> None:
    given = {"module": "app", "platform": "linux", "version": "1", "object_key": "k", "sha256": "A" * 64,
             "size_bytes": 1}  # fmt: skip
    person: Person = town.person(role)
    answer = person.post("/api/v1/artifacts/releases", given)
    assert answer.status_code == status
    if status == 201:
        made = data(answer, 201)
        assert (made["channel"], made["status"], made["sha256"]) == ("stable", "active", "a" * 64)
        assert isinstance(made["id"], int) and made["created_at"].endswith("Z")
