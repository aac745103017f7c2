"""A bot's lifecycle, and secrets that no record may hold, on both stores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.people import Town, data, refusal

BOTS = "/api/v1/bots"


@pytest.fixture
def bot(town: Town) -> dict[str, Any]:
    return dict(data(town.member.post(BOTS, {"id": "bot-1", "name": "Harvester"}), 201))


def move(town: Town, to: str, **more: Any) -> Any:
    return town.member.post(f"{BOTS}/bot-1/lifecycle/transition", {"to": to, **more})


def test_a_bot_goes_its_way(town: Town, bot: dict[str, Any]) -> None:
    first = data(town.viewer.get(f"{BOTS}/bot-1/lifecycle"))
    assert first == {"state": "new", "since": bot["created_at"], "history": []}
    started = data(move(town, "starting", reason="Its first day"))
    assert data(move(town, "running"))["state"] == "running"
    now = data(town.viewer.get(f"{BOTS}/bot-1/lifecycle"))
    assert now["since"] >= started["since"] >= bot["created_at"]
    assert [(entry["from"], entry["to"], entry["by"]) for entry in now["history"]] == [
        ("new", "starting", "member-1"), ("starting", "running", "member-1")]  # fmt: skip
    assert now["history"][0]["reason"] == "Its first day" and "reason" not in now["history"][1]
    record = data(town.viewer.get(f"{BOTS}/bot-1"))
    assert record["lifecycle"] == now and record["updated_at"] == now["since"] and record["name"] == "Harvester"


def test_a_way_that_there_is_not_is_refused_with_those_that_there_are(town: Town, bot: dict[str, Any]) -> None:
    answer = move(town, "running")
    assert refusal(answer) == (409, "TRANSITION_REFUSED")
    assert answer.json["error"]["details"] == {"state": "new", "allowed": ["starting", "archived"]}
    assert data(town.viewer.get(f"{BOTS}/bot-1")) == bot


@pytest.mark.parametrize(
    "body", [{}, {"to": "on_fire"}, {"to": 1}, {"to": "starting", "x": 1}, {"to": "starting", "reason": ""}]
)
def test_a_transition_names_a_state(town: Town, bot: dict[str, Any], body: Any) -> None:
    answer = town.member.post(f"{BOTS}/bot-1/lifecycle/transition", body)
    assert refusal(answer) == (400, "VALIDATION_ERROR")


def test_only_a_transition_writes_a_lifecycle(town: Town, bot: dict[str, Any]) -> None:
    there = {"lifecycle": {"state": "running"}}
    assert refusal(town.member.post(BOTS, there)) == (400, "VALIDATION_ERROR")
    assert refusal(town.member.call(f"PATCH {BOTS}/bot-1", there)) == (400, "VALIDATION_ERROR")
    data(move(town, "starting"))
    now = data(town.viewer.get(f"{BOTS}/bot-1"))
    for other in (None, {}, {**now["lifecycle"], "state": "running"}):
        answer = town.member.call(f"PATCH {BOTS}/bot-1", {"lifecycle": other})
        assert refusal(answer) == (400, "VALIDATION_ERROR")
    assert data(town.member.call(f"PATCH {BOTS}/bot-1", now))["lifecycle"] == now["lifecycle"]
    assert data(town.member.post("/api/v1/workspace/notes", there), 201)["lifecycle"] == {"state": "running"}


def test_of_many_who_move_a_bot_at_once_one_does(town: Town, bot: dict[str, Any]) -> None:
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: move(town, "starting").status_code, range(5)))
    assert sorted(answers) == [200, 409, 409, 409, 409]
    assert len(data(town.viewer.get(f"{BOTS}/bot-1/lifecycle"))["history"]) == 1


def test_another_tenants_bot_has_no_lifecycle(town: Town, elsewhere: Town, bot: dict[str, Any]) -> None:
    assert refusal(elsewhere.admin.get(f"{BOTS}/bot-1/lifecycle")) == (404, "NOT_FOUND")
    answer = elsewhere.admin.post(f"{BOTS}/bot-1/lifecycle/transition", {"to": "starting"})
    assert refusal(answer) == (404, "NOT_FOUND")
    assert refusal(move(elsewhere, "starting")) == (404, "NOT_FOUND")
    assert refusal(town.viewer.post(f"{BOTS}/bot-1/lifecycle/transition", {"to": "starting"})) == (403, "FORBIDDEN")


PLAIN: list[tuple[Any, str]] = [
    ({"token": "x"}, "records.bots.token"), ({"deep": [{"API-Key": "x"}]}, "records.bots.deep.API-Key"),
    ({"db_password": ["x"]}, "records.bots.db_password"), ({"a": {"private.key": "x"}}, "records.bots.a.private.key"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "path"), PLAIN)
def test_a_secret_in_plain_text_is_refused_by_its_path(town: Town, bot: dict[str, Any], body: Any, path: str) -> None:
    for line in (f"POST {BOTS}", f"PATCH {BOTS}/bot-1"):
        answer = town.member.call(line, body)
        assert refusal(answer) == (400, "PLAINTEXT_SECRET_REFUSED")
        assert answer.json is not None and answer.json["error"]["details"] == {"path": path}
    assert data(town.viewer.get(BOTS)) == [bot]


def test_what_the_tenants_list_allows_may_be_plain_there_and_nowhere_else(town: Town, bot: dict[str, Any]) -> None:
    allowed = {"paths": ["records.bots.token", "records.resources.proxies.auth.password"]}
    data(town.admin.call("PUT /api/v1/secrets/allowances", allowed))
    assert data(town.member.call(f"PATCH {BOTS}/bot-1", {"token": "x"}))["token"] == "x"
    proxy = {"auth": {"password": "x"}}
    assert data(town.member.post("/api/v1/resources/proxies", proxy), 201)["auth"] == proxy["auth"]
    others = ((BOTS, proxy), ("/api/v1/resources/proxies", {"token": "x"}), (BOTS, {"token": "x", "secret": "y"}))
    for path, body in others:
        assert refusal(town.member.post(path, body)) == (400, "PLAINTEXT_SECRET_REFUSED")


@pytest.mark.parametrize(
    "body", [{"token": ""}, {"token": 7}, {"secret_ref": "x"}, {"password": None}, {"token": {"ref": "x"}}]
)
def test_what_is_no_plain_secret_is_kept(town: Town, body: Any) -> None:
    assert body.items() <= data(town.member.post(BOTS, body), 201).items()
