"""What RTDB cannot keep comes back as it was given, and what somebody has changed since comes back as changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rtdb.values import kept, shown
from tests.unit.records.values import bodies, keys
from webapp.records.exactness import EXACT, escaped_key, read, written
from webapp.records.paths import LONGEST_KEY_BYTES, refuse_key


def through_rtdb(stored: Any) -> Any:
    """What a database gives back of what it was given, by way of JSON."""
    return shown(kept(json.loads(json.dumps(stored))))


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: to Python, True is 1, but it is not."""
    return json.dumps(_plain(one), sort_keys=True) == json.dumps(_plain(other), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@given(bodies)
def test_every_body_comes_back_as_it_was_given(body: dict[str, Any]) -> None:
    stored = through_rtdb({**written(body), "created_at": 1})
    stored.pop("created_at")
    assert same(read(stored), body)


@given(bodies)
def test_also_where_nothing_stands_beside_it(body: dict[str, Any]) -> None:
    assert same(read(through_rtdb(written(body))), body)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a", "n": 1, "deep": {"a": [1, 2, {"b": True}]}}, {"x": 2**53 - 1, "y": 1.5, "z": 1.0}, {},
        {"7": "one integer key beside another", "a": 1},
    ],
)  # fmt: skip
def test_what_rtdb_keeps_is_written_as_it_is(body: dict[str, Any]) -> None:
    assert written(body) == body


@pytest.mark.parametrize(
    ("body", "natural"),
    [
        ({"tags": []}, {}),
        ({"a": None, "b": 1}, {"b": 1}),
        ({"a": {"b": {}}, "c": 1}, {"c": 1}),
        ({"a": [1, None, 3]}, {"a": [1, None, 3]}),
        ({"a": [None, None, None, 4]}, {"a": {"3": 4}}),
        ({"a": [1, None]}, {"a": [1]}),
        ({"a": {"0": "x", "1": "y"}}, {"a": ["x", "y"]}),
        ({"a": {"7": "x"}}, {"a": {"7": "x"}}),
        ({"a.b": 1, "a%2Eb": 2}, {"a%2Eb": 1, "a%252Eb": 2}),
        ({"_exact": "x", "%5Fexact": "y"}, {"%5Fexact": "x", "%255Fexact": "y"}),
        ({"n": 2**53 + 1}, {"n": float(2**53)}),
    ],
)
def test_what_it_cannot_keep_is_written_in_its_natural_form_and_exactly(body: Any, natural: Any) -> None:
    stored = written(body)
    assert json.loads(stored.pop(EXACT)) == body
    assert stored == natural


@pytest.mark.parametrize(
    ("body", "change"),
    [
        ({"tags": [], "n": 1}, {"n": 2}), ({"tags": [], "n": 1}, {"n": True}), ({"tags": []}, {"new": "x"}),
        ({"tags": [], "n": 1}, {"tags": ["a"]}), ({"a": {"0": "x"}}, {"a": None}),
    ],
)  # fmt: skip
def test_what_somebody_changed_since_counts(body: Any, change: Any) -> None:
    stored = through_rtdb({**written(body), **change})
    stored.pop(EXACT)
    assert same(read({**through_rtdb({**written(body), **change})}), stored)


@pytest.mark.parametrize("exact", ["no JSON", "[1]", 7, {"a": 1}, "{" * 100_000])
def test_an_exact_text_that_is_none_is_passed_over(exact: Any) -> None:
    assert read({"a": 1, EXACT: exact}) == {"a": 1}


def test_a_record_that_rtdb_made_an_array_of_is_an_object_again() -> None:
    assert read([None, "a", "b"]) == {"1": "a", "2": "b"} and read("x") == read(None) == {}


@given(keys | st.text(max_size=10), keys | st.text(max_size=10))
def test_keys_are_escaped_to_what_rtdb_takes_and_stay_different(one: str, other: str) -> None:
    for key in (one, other):
        if "\0" not in key and key.isprintable():
            refuse_key(escaped_key(key))
    if "\0" not in one + other and (one + other).isprintable():
        assert (escaped_key(one) == escaped_key(other)) is (one == other)


def test_a_key_that_is_too_long_is_cut_and_told_from_its_like() -> None:
    found = {escaped_key("x" * 900 + end) for end in "abc"}
    assert len(found) == 3 and all(len(key.encode()) <= LONGEST_KEY_BYTES for key in found)


def test_what_is_nested_deeper_than_rtdb_takes_comes_back() -> None:
    body: dict[str, Any] = {}
    for _ in range(60):
        body = {"a": body, "b": [body]} if len(json.dumps(body)) < 2_000 else {"a": body}
    stored = written(body)
    assert read(through_rtdb(stored)) == body
    assert depth({name: value for name, value in stored.items() if name != EXACT}) <= 21


def depth(value: Any) -> int:
    if not isinstance(value, dict | list) or not value:
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value))
