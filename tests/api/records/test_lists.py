"""Pages, order, words and filters, the same on both stores."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.people import Town, data, refusal

PROXIES = "/api/v1/resources/proxies"
THINGS: list[dict[str, Any]] = [
    {"id": "b", "name": "Zürich", "status": "active", "type": "http", "description": "By the lake"},
    {"id": "a", "title": "berlin", "status": "active", "type": "socks"},
    {"id": "C", "label": "Berlin", "status": "dead"},
    {"id": "é", "name": 7, "title": "Öl", "status": ["active"]},
    {"id": "10", "name": None, "description": "100% _sure_ \\o/"},
    {"id": "9", "name": "", "status": ""},
]


@pytest.fixture
def things(town: Town) -> Town:
    for thing in THINGS:
        data(town.member.post(PROXIES, thing), 201)
    return town


def ids(town: Town, query: str) -> list[str]:
    return [found["id"] for found in data(town.viewer.get(f"{PROXIES}?{query}"))]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sort=id&order=asc", ["10", "9", "C", "a", "b", "é"]),
        ("sort=id&order=desc", ["é", "b", "a", "C", "9", "10"]),
        ("sort=name&order=asc", ["9", "C", "b", "a", "é", "10"]),
        ("sort=name&order=desc", ["10", "é", "a", "b", "C", "9"]),
        ("sort=status&order=asc", ["9", "a", "b", "C", "10", "é"]),
        ("sort=status&order=desc", ["é", "10", "C", "b", "a", "9"]),
        ("sort=id&order=asc&limit=2", ["10", "9"]),
        ("sort=id&order=asc&limit=4&page=2", ["b", "é"]),
        ("sort=id&order=asc&page=7", []),
        ("status=active&sort=id&order=asc", ["a", "b"]),
        ("status=active&type=socks", ["a"]),
        ("status=ACTIVE", []),
        ("q=berlin&sort=id&order=asc", ["C", "a"]),
        ("q=ZÜRICH", ["b"]),
        ("q=öl", ["é"]),
        ("q=É", ["é"]),
        ("q=lake", ["b"]),
        ("q=100%25", ["10"]),
        ("q=_sure_", ["10"]),
        ("q=%5Co", ["10"]),
        ("q=%25", ["10"]),
        ("q=berlin&status=dead", ["C"]),
        ("q=socks", []),
    ],
)
def test_a_list_is_sorted_searched_and_filtered(things: Town, query: str, found: list[str]) -> None:
    assert ids(things, query) == found


def test_the_newest_comes_first(things: Town) -> None:
    changed = data(things.member.call(f"PATCH {PROXIES}/C", {"seen": True}))
    times = [found["created_at"] for found in data(things.viewer.get(PROXIES))]
    assert times == sorted(times, reverse=True) and len(times) == len(THINGS)
    [first, *_] = data(things.viewer.get(f"{PROXIES}?sort=updated_at"))
    assert first["updated_at"] == changed["updated_at"]


@pytest.mark.parametrize(
    ("query", "meta"),
    [("", (6, 1, 50)), ("page=2&limit=4", (6, 2, 4)), ("page=9", (6, 9, 50)), ("status=active", (2, 1, 50)),
    ("q=nothing", (0, 1, 50))],
)  # fmt: skip
def test_meta_says_how_many_there_are(things: Town, query: str, meta: tuple[int, int, int]) -> None:
    answer = things.viewer.get(f"{PROXIES}?{query}")
    assert answer.json is not None
    assert answer.json["meta"] == dict(zip(("total", "page", "limit"), meta, strict=True))


@pytest.mark.parametrize(
    "query", ["page=0", "limit=201", "sort=body", "order=up", "unknown=1", "status=", "q=" + "x" * 201]
)
def test_a_query_that_makes_no_sense_is_refused(things: Town, query: str) -> None:
    assert refusal(things.viewer.get(f"{PROXIES}?{query}")) == (400, "VALIDATION_ERROR")


def test_a_collection_of_integers_is_a_collection(town: Town) -> None:
    for number in range(5):
        data(town.member.post(PROXIES, {"id": str(number), "n": number}), 201)
    assert [found["n"] for found in data(town.viewer.get(f"{PROXIES}?sort=id&order=asc"))] == list(range(5))
    assert data(town.viewer.get(f"{PROXIES}/3"))["n"] == 3
