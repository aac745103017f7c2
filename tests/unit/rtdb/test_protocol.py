"""The rules of the REST protocol, as Firebase's documentation describes them, asked over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.rtdb.database import Database
from tests.rtdb.server import Server

SECRET = "the-database's-secret"


class Client:
    def __init__(self, server: Server) -> None:
        self.url, self._session = server.url, requests.Session()

    def __call__(self, line: str, body: Any = None, *, status: int = 200, **given: Any) -> Any:
        answer = self.raw(line, body, **given)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def raw(self, line: str, body: Any = None, *, auth: str | None = SECRET, headers: Any = None, **query: Any) -> Any:
        method, path = line.split(" ", 1)
        params = query if auth is None else {"auth": auth, **query}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = None if method in ("GET", "DELETE") else data
        return self._session.request(method, self.url + path, data=sent, params=params, headers=headers, timeout=10)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Database(), secret=SECRET, keep_alive=0.2).running() as made:
        yield made


@pytest.fixture
def ask(server: Server) -> Client:
    return Client(server)


def test_what_is_put_is_there_and_answered(ask: Client) -> None:
    jack = {"first": "Jack", "last": "Sparrow"}
    assert ask("PUT /users/jack/name.json", jack) == jack
    assert ask("GET /users/jack/name.json") == jack and ask("GET /users/jack/name/first.json") == "Jack"
    assert ask("GET /.json") == {"users": {"jack": {"name": jack}}} and ask("GET /nobody.json") is None


def test_post_makes_names_that_sort_as_they_were_made(ask: Client) -> None:
    names = [ask("POST /list.json", number)["name"] for number in range(20)]
    assert names == sorted(names) and len(set(names)) == 20 and all(len(name) == 20 for name in names)
    assert ask("GET /list.json") == dict(zip(names, range(20), strict=True))


def test_patch_writes_what_is_named_at_several_places_and_leaves_the_rest(ask: Client) -> None:
    ask("PUT /a.json", {"x": 1, "y": {"z": 1, "w": 2}})
    assert ask("PATCH /a.json", {"x": None, "y/z": 3, "new/deep": True}) == {"x": None, "y/z": 3, "new/deep": True}
    assert ask("GET /a.json") == {"y": {"z": 3, "w": 2}, "new": {"deep": True}}
    ask("PATCH /a.json", [1], status=400)


def test_delete_takes_all_beneath_and_what_it_leaves_empty(ask: Client) -> None:
    ask("PUT /a/b/c.json", 1)
    assert ask("DELETE /a/b.json") is None and ask("GET /.json") is None
    ask("PUT /a.json", 5)
    ask("DELETE /a/b.json")
    assert ask("GET /a.json") == 5


def test_who_has_not_the_secret_is_refused(ask: Client) -> None:
    for auth in (None, "", "another"):
        for method in ("GET", "PUT", "POST", "PATCH", "DELETE"):
            assert "error" in ask(f"{method} /a.json", {}, auth=auth, status=401)
    assert ask("GET /a.json", auth=None, status=401) == {"error": "Permission denied"}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, None), ({}, None), ([], None), ({"a": {"b": []}, "c": 1}, {"c": 1}), (["a", "b"], ["a", "b"]),
        ({"0": "a", "1": "b"}, ["a", "b"]), ({"2": "c", "4": "e"}, {"2": "c", "4": "e"}),
        (["a", None, "c"], ["a", None, "c"]), (["a", None], ["a"]), ({"1": "x"}, [None, "x"]),
        ({"0": "a", "x": "b"}, {"0": "a", "x": "b"}),
        ({"07": 1}, {"07": 1}), (1.0, 1), (2**53 + 1, 2**53), ({"é": "ü"}, {"é": "ü"}), (False, False), ("", ""),
    ],
)  # fmt: skip
def test_what_becomes_of_a_value(ask: Client, given: Any, shown: Any) -> None:
    assert ask("PUT /v.json", given) == shown
    found = ask("GET /v.json")
    assert found == shown and type(found) is type(shown)


@pytest.mark.parametrize("key", ["a.b", "$a", "a#", "[", "]", "a/b", "", "\n", "\x7f", "x" * 769])
def test_forbidden_keys_are_refused_at_any_depth(ask: Client, key: str) -> None:
    assert "error" in ask("PUT /v.json", {"deep": [{key: 1}]}, status=400)
    assert ask("GET /v.json") is None


def test_what_is_too_deep_or_no_json_is_refused(ask: Client) -> None:
    deep: Any = 1
    for _ in range(40):
        deep = {"a": deep}
    ask("PUT /v.json", deep, status=400)
    ask("PUT /v.json", b"{", status=400)
    ask("GET /a%2Eb.json", status=400)
    ask("GET /no-json", status=404)


def test_print_silent_answers_204_without_a_body(ask: Client) -> None:
    answer = ask.raw("PUT /v.json", 1, print="silent")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "\n" in ask.raw("GET /.json", print="pretty").text


def test_shallow_gives_keys_alone(ask: Client) -> None:
    ask("PUT /m.json", {"user": {"name": "Chris"}, "body": "Hello!"})
    assert ask("GET /m.json", shallow="true") == {"user": True, "body": True}
    assert ask("GET /m/body.json", shallow="true") == "Hello!"
    ask("GET /m.json", shallow="true", orderBy='"$key"', status=400)


def tagged(answer: Any) -> str:
    return str(answer.headers["ETag"])


def test_a_write_with_if_match_wants_the_data_as_it_was(ask: Client) -> None:
    asking = {"X-Firebase-ETag": "true"}
    assert tagged(ask.raw("GET /c.json", headers=asking)) == "null_etag"
    assert "ETag" not in ask.raw("GET /c.json").headers
    first = ask.raw("PUT /c.json", 10, headers={"if-match": "null_etag", **asking})
    assert first.status_code == 200 and tagged(first) == tagged(ask.raw("GET /c.json", headers=asking)) != "null_etag"
    late = ask.raw("PUT /c.json", 12, headers={"if-match": "null_etag"})
    assert (late.status_code, late.json(), tagged(late)) == (412, 10, tagged(first))
    assert ask("PUT /c.json", 11, headers={"if-match": tagged(late)}) == 11
    assert ask.raw("DELETE /c.json", headers={"if-match": tagged(late)}).status_code == 412
    ask("PATCH /c.json", {}, headers={"if-match": "*"}, status=400)


def test_an_etag_is_of_the_data_and_not_of_its_order(ask: Client) -> None:
    asking = {"X-Firebase-ETag": "true"}
    one = tagged(ask.raw("PUT /e.json", {"a": 1, "b": [2]}, headers=asking))
    assert one == tagged(ask.raw("PUT /e.json", {"b": {"0": 2}, "a": 1.0}, headers=asking))
    assert one != tagged(ask.raw("PUT /e.json", {"a": 1}, headers=asking))


THINGS = {
    "a": {"v": None, "n": 1}, "b": {"v": False}, "c": {"v": True}, "d": {"v": 2}, "e": {"v": 10.5}, "f": {"v": "10"},
    "g": {"v": "9"}, "h": {"v": {"x": 1}}, "i": {"v": 2},
}  # fmt: skip


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, "abcdefghi"), ({"limitToFirst": 3}, "abc"), ({"limitToLast": 2}, "gh"), ({"startAt": "2"}, "diefgh"),
        ({"endAt": "true"}, "abc"), ({"equalTo": "2"}, "di"), ({"equalTo": "null"}, "a"),
        ({"startAt": '"1"', "endAt": '"9"'}, "fg"), ({"startAt": "2", "limitToFirst": 2}, "di"),
        ({"startAfter": "2", "endBefore": '"9"'}, "ef"),
        ({"equalTo": '"x"'}, ""),
    ],
)  # fmt: skip
def test_children_are_ordered_by_a_value(ask: Client, query: Any, found: str) -> None:
    ask("PUT /t.json", THINGS)
    assert set(ask("GET /t.json", orderBy='"v"', **query) or {}) == set(found)


def test_children_are_ordered_by_key_integers_first(ask: Client) -> None:
    ask("PUT /k.json", {"10": 1, "9": 1, "a": 1, "B": 1, "99999999999": 1})
    query: dict[str, Any] = {"orderBy": '"$key"'}
    assert set(ask("GET /k.json", limitToFirst=2, **query)) == {"9", "10"}
    assert set(ask("GET /k.json", startAt='"B"', **query)) == {"B", "a"}
    assert set(ask("GET /k.json", endAt='"B"', limitToLast=2, **query)) == {"99999999999", "B"}
    assert ask("GET /k.json", equalTo='"a"', **query) == {"a": 1}


def test_children_are_ordered_by_their_own_value_and_by_one_deep_in_them(ask: Client) -> None:
    ask("PUT /v.json", {"x": 3, "y": 1, "z": 2})
    assert ask("GET /v.json", orderBy='"$value"', limitToLast=1) == {"x": 3}
    ask("PUT /d.json", {"x": {"a": {"b": 3}}, "y": {"a": {"b": 1}}})
    assert set(ask("GET /d.json", orderBy='"a/b"', limitToFirst=1)) == {"y"}


@pytest.mark.parametrize(
    "query",
    [{"limitToFirst": 1}, {"orderBy": "v"}, {"orderBy": "7"}, {"orderBy": '"v"', "startAt": "x"},
     {"orderBy": '"v"', "limitToFirst": 0}, {"orderBy": '"v"', "limitToFirst": 1, "limitToLast": 1},
     {"orderBy": '"$key"', "startAt": "1"}, {"orderBy": '"v"', "equalTo": "{}"}],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused(ask: Client, query: Any) -> None:
    ask("PUT /t.json", THINGS)
    assert "error" in ask("GET /t.json", status=400, **query)
