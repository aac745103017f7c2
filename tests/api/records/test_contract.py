"""What holds for records wherever they are kept: each test runs on both stores."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.fleet import key_of
from tests.api.people import Town, data, refusal
from webapp.records.kinds import COLLECTIONS
from webapp.records.service import Desk, WritesFrozen

NOTES, BOTS = "/api/v1/workspace/notes", "/api/v1/bots"
every_collection = pytest.mark.parametrize("path", [f"/api/v1/{path}" for path in COLLECTIONS])
UNKNOWN = "no-such-record"


def made(town: Town, path: str = NOTES, **body: Any) -> dict[str, Any]:
    return dict(data(town.member.post(path, body), 201))


@every_collection
def test_a_record_is_made_read_changed_listed_and_deleted(town: Town, path: str) -> None:
    before = time.time_ns() // 1_000_000
    first = made(town, path, name="One", deep={"a": [1, 2.5, "x", {"b": True}]})
    assert set(first) == {"id", "name", "deep", "created_at", "updated_at"}
    assert before <= first["created_at"] == first["updated_at"] <= time.time_ns() // 1_000_000
    assert data(town.viewer.get(f"{path}/{first['id']}")) == first
    second = data(town.infra.call(f"PATCH {path}/{first['id']}", {"name": "Two", "more": 1}))
    assert second == first | {"name": "Two", "more": 1, "updated_at": second["updated_at"]}
    assert second["updated_at"] >= first["updated_at"]
    assert data(town.viewer.get(f"{path}/{first['id']}")) == second
    assert data(town.viewer.get(path)) == [second]
    assert data(town.member.call(f"DELETE {path}/{first['id']}")) == {"id": first["id"], "deleted": True}
    assert refusal(town.member.get(f"{path}/{first['id']}")) == (404, "NOT_FOUND")
    assert refusal(town.member.call(f"DELETE {path}/{first['id']}")) == (404, "NOT_FOUND")
    assert refusal(town.member.call(f"PATCH {path}/{first['id']}", {"a": 1})) == (404, "NOT_FOUND")
    assert data(town.viewer.get(path)) == []


KEPT: list[Any] = [
    {}, {"tags": []}, {"a": {}}, {"a": None}, {"a": [None, 1, None]}, {"a": [[], {}, None]},
    {"a": {"0": "x", "1": "y"}},
    {"a": {"1": "x"}}, {"0": "a", "1": "b"}, {"a": [[1, 2], [3]]}, {"a.b": 1, "c/d": {"$e": [1]}, "#": "[", "a%2Eb": 2},
    {"": "empty"}, {"_exact": "mine"}, {"_exact": '{"a": 1}', "tags": []},
    {"n": 2**53 + 1, "m": -(2**63), "l": 2**64 - 1},
    {"n": 1.5, "m": 1e300, "l": 5e-324, "z": -0.0, "w": 3.0}, {"b": True, "c": False, "s": ""},
    {"é": "e\u0301 \U0001f600"},
    {"k" * 900: 1}, {"name": 7, "status": ["x"], "type": {"a": 1}, "amount": "12", "date": "2026-02-30"},
    {"name": "n" * 5000, "status": "s" * 5000, "description": "d" * 5000, "type": "", "currency": "c" * 3000},
    {"x": "a\nb\tc\x7f\x01"}, {"date": {"a": 1}, "ts": [], "amount": 1e200}, {"A": 1, "a": 2},
]  # fmt: skip


@pytest.mark.parametrize("body", KEPT, ids=[str(body)[:40] for body in KEPT])
@pytest.mark.parametrize("path", [NOTES, "/api/v1/finance/operations"])
def test_the_store_keeps_what_it_is_given(town: Town, path: str, body: dict[str, Any]) -> None:
    first = made(town, path, **body)
    wanted = {"id": first["id"], "created_at": first["created_at"], "updated_at": first["created_at"], **body}
    for found in (first, data(town.viewer.get(f"{path}/{first['id']}")), *data(town.viewer.get(path))):
        assert found == wanted and repr(sorted(map(type_of, found.items()))) == repr(
            sorted(map(type_of, wanted.items()))
        )
    changed = data(town.member.call(f"PATCH {path}/{first['id']}", {"new": 1}))
    assert {**changed, "updated_at": 0} == {**wanted, "new": 1, "updated_at": 0}


def type_of(item: tuple[str, Any]) -> tuple[str, str]:
    """So that True is not taken for 1; a whole float may come back as the integer."""
    return item[0], "number" if isinstance(item[1], float) else type(item[1]).__name__.replace("int", "number")


def test_nesting_is_kept_as_deep_as_a_body_may_be(town: Town) -> None:
    deep: Any = "ground"
    for level in range(60):
        deep = {"a": deep} if level % 2 else [deep, []]
    first = made(town, deep=deep)
    assert data(town.viewer.get(f"{NOTES}/{first['id']}"))["deep"] == deep


def test_a_change_merges_fields_and_null_removes_one(town: Town) -> None:
    first = made(town, a=1, b={"c": 1, "d": 2}, e=[])
    changed = data(town.member.call(f"PATCH {NOTES}/{first['id']}", {"a": None, "b": {"c": None}, "f": []}))
    assert changed == {name: first[name] for name in ("id", "created_at", "e")} | {
        "b": {"c": None}, "f": [], "updated_at": changed["updated_at"]}  # fmt: skip
    assert data(town.viewer.get(f"{NOTES}/{first['id']}")) == changed


def test_the_stores_own_fields_are_not_the_clients(town: Town) -> None:
    first = made(town, created_at=1, updated_at="never", id="mine")
    assert first["id"] == "mine" and first["created_at"] > 1 and first["updated_at"] == first["created_at"]
    same = data(town.member.call(f"PATCH {NOTES}/mine", first | {"a": 1}))
    assert (same["created_at"], same["a"]) == (first["created_at"], 1)
    assert refusal(town.member.call(f"PATCH {NOTES}/mine", {"id": "yours"})) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("record_id",
["a", "0", "17", "-Ox9_abc", "a b", "é", "a%2Fb", "a@b:c", "~", "A", "x" * 768, "_exact",
                                       "tenants", "+", "%", "{}", "lifecycle", "é" * 384])  # fmt: skip
def test_a_client_may_name_its_record(town: Town, record_id: str) -> None:
    assert made(town, id=record_id, n=1)["id"] == record_id
    answer = town.member.post(NOTES, {"id": record_id, "n": 2})
    assert refusal(answer) == (409, "RECORD_EXISTS")
    one = f"{NOTES}/{quote(record_id, safe='')}"
    assert data(town.viewer.get(one))["n"] == 1
    assert [found["id"] for found in data(town.viewer.get(NOTES))] == [record_id]
    assert data(town.member.call(f"PATCH {one}", {"n": 3}))["n"] == 3
    assert data(town.member.call(f"DELETE {one}"))["deleted"] is True


@pytest.mark.parametrize(
    "record_id",
    ["a.b", "..", ".", "a/b", "$x", "a#b", "[0]", "\n", "\x7f", "x" * 769, "é" * 385, "", "  ", 7, None, ["a"]],
)
def test_an_id_that_cannot_be_is_refused(town: Town, record_id: Any) -> None:
    answer = town.member.post(NOTES, {"id": record_id})
    assert refusal(answer) == (400, "VALIDATION_ERROR") and "id" in answer.json["error"]["details"]  # type: ignore[index]
    assert data(town.viewer.get(NOTES)) == []


@pytest.mark.parametrize("record_id", ["a.b", "..x", "$x", "a#b", "[0]", "x" * 769, "\x7f", UNKNOWN])
def test_an_id_that_cannot_be_is_simply_not_known(town: Town, record_id: str) -> None:
    made(town, n=1)
    for method, body in (("GET", None), ("PATCH", {"a": 1}), ("DELETE", None)):
        answer = town.member.call(f"{method} {NOTES}/{quote(record_id, safe='')}", body)
        assert refusal(answer) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/api/v1/resources/cars", "/api/v1/workspace/licenses", "/api/v1/resources/settings"])
def test_a_collection_that_there_is_not_is_not_found(town: Town, path: str) -> None:
    for line in (f"GET {path}", f"GET {path}/x", f"DELETE {path}/x"):
        assert refusal(town.admin.call(line)) == (404, "NOT_FOUND")
    assert refusal(town.admin.post(path, {"a": 1})) == (404, "NOT_FOUND")
    assert refusal(town.admin.call(f"PATCH {path}/x", {"a": 1})) == (404, "NOT_FOUND")


def test_collections_keep_their_records_apart(town: Town) -> None:
    for collection in COLLECTIONS:
        made(town, f"/api/v1/{collection}", id="one", of=collection)
    for collection in COLLECTIONS:
        assert [found["of"] for found in data(town.viewer.get(f"/api/v1/{collection}"))] == [collection]


def test_ids_that_differ_in_case_or_normal_form_are_different(town: Town) -> None:
    for number, record_id in enumerate(("a", "A", "\u00e9", "e\u0301")):
        made(town, id=record_id, n=number)
    assert {found["id"]: found["n"] for found in data(town.viewer.get(NOTES))} == {
        "a": 0, "A": 1, "\u00e9": 2, "e\u0301": 3}  # fmt: skip


@pytest.mark.parametrize("body", [b'{"a": "\\u0000"}', b'{"\\u0000": 1}', b'{"a": [{"b": "x\\u0000"}]}'])
def test_what_no_store_can_hold_is_refused(town: Town, body: bytes) -> None:
    answer = town.member.client.post(NOTES, data=body, headers=town.member.headers, content_type="application/json")
    assert refusal(answer) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("body", [[], "x", 1, None])
def test_a_record_is_an_object(town: Town, body: Any) -> None:
    sent = {"data": json.dumps(body), "content_type": "application/json", "headers": town.member.headers}
    assert refusal(town.member.client.post(NOTES, **sent)) == (400, "VALIDATION_ERROR")


def test_the_same_request_again_makes_nothing_new(town: Town) -> None:
    headers = {"Idempotency-Key": "k-1"}
    first = town.member.post(NOTES, {"a": 1}, headers=headers)
    again = town.member.post(NOTES, {"a": 1}, headers=headers)
    assert data(again, 201) == data(first, 201) and again.headers["Idempotency-Replayed"] == "true"
    assert len(data(town.viewer.get(NOTES))) == 1
    other = town.member.post(NOTES, {"a": 2}, headers=headers)
    assert refusal(other) == (409, "IDEMPOTENCY_KEY_REUSED")


def test_who_only_reads_writes_nothing_and_scopes_say_which_key_may(town: Town) -> None:
    one = made(town)["id"]
    reader, writer, other = key_of(town, "records:read"), key_of(town, "records:write"), key_of(town, "ops:write")
    lines: list[tuple[str, Any]] = [
        (f"POST {NOTES}", {}),
        (f"PATCH {NOTES}/{one}", {"a": 1}),
        (f"DELETE {NOTES}/{one}", None),
    ]
    for who in (town.viewer, reader, other):
        for line, body in lines:
            assert refusal(who.call(line, body)) == (403, "FORBIDDEN")
    assert data(reader.get(f"{NOTES}/{one}"))["id"] == one
    for line, body in lines:
        assert writer.call(line, body).status_code in (200, 201)


def test_where_writes_are_frozen_each_is_told_so_and_reads_go_on(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What freezes is the cutover's; here is what clients see of it."""
    made(town, BOTS, id="one")

    def frozen(_: Desk) -> Any:
        raise WritesFrozen

    monkeypatch.setattr(Desk, "writing", frozen)
    writes: list[tuple[str, Any]] = [
        (f"POST {BOTS}", {}), (f"PATCH {BOTS}/one", {"a": 1}), (f"DELETE {BOTS}/one", None),
        (f"POST {BOTS}/one/lifecycle/transition", {"to": "starting"}), ("PUT /api/v1/settings", {"a": 1}),
        ("PATCH /api/v1/settings", {"a": 1}), ("PUT /api/v1/settings/a", {}), ("PATCH /api/v1/settings/a", {"b": 1}),
    ]  # fmt: skip
    for line, body in writes:
        answer = town.admin.call(line, body)
        assert refusal(answer) == (503, "WRITES_FROZEN") and int(answer.headers["Retry-After"]) > 0
    assert [found["id"] for found in data(town.viewer.get(BOTS))] == ["one"]
    assert data(town.viewer.get("/api/v1/settings")) == {}


def test_another_tenants_records_are_not_there(town: Town, elsewhere: Town) -> None:
    mine = made(town, id="shared", secret_plan="mine")
    asked: list[tuple[str, Any]] = [("GET", None), ("PATCH", {"a": 1}), ("DELETE", None)]
    for method, body in asked:
        line = f"{method} {NOTES}/shared"
        assert refusal(elsewhere.admin.call(line, body)) == (404, "NOT_FOUND")
    assert data(elsewhere.admin.get(NOTES)) == []
    theirs = data(elsewhere.member.post(NOTES, {"id": "shared", "of": "theirs"}), 201)
    assert data(town.viewer.get(f"{NOTES}/shared")) == mine
    assert data(elsewhere.viewer.get(NOTES)) == [theirs]
    for tenant in (town.tenant, elsewhere.tenant):
        for trick in (
            f"..%2F..%2F..%2F{tenant}%2Fworkspace%2Fnotes%2Fshared",
            f"%2e%2e%2f{tenant}",
            "..%5c..",
            "shared.json",
        ):
            assert elsewhere.admin.get(f"{NOTES}/{trick}").status_code == 404


def test_of_many_who_make_the_same_record_one_does(town: Town) -> None:
    people = [town.person("member", f"member-{number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda who: who.post(NOTES, {"id": "one", "by": who.user_id}), people))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    [winner] = [answer for answer in answers if answer.status_code == 201]
    assert data(town.viewer.get(f"{NOTES}/one")) == data(winner, 201)


def test_of_many_who_change_a_record_at_once_each_ones_field_is_kept(town: Town) -> None:
    made(town, id="one", tags=[])
    people = [town.person("member", f"member-{number}") for number in range(6)]

    def change(number: int) -> int:
        return people[number].call(f"PATCH {NOTES}/one", {f"field-{number}": number}).status_code

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(change, range(6))) == [200] * 6
    found = data(town.viewer.get(f"{NOTES}/one"))
    assert {f"field-{number}": number for number in range(6)}.items() <= found.items() and found["tags"] == []
