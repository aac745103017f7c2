"""Two records that mean the same have one canonical form; any difference that counts is another."""

from __future__ import annotations

import json
import random
import re
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.records.values import bodies, values
from webapp.records.canonical import canonical, canonical_json, digest
from webapp.records.kinds import times_of
from webapp.records.times import millis_of


@given(bodies, st.randoms())
def test_the_order_of_keys_does_not_count(body: dict[str, Any], dice: random.Random) -> None:
    assert digest(shuffled(body, dice)) == digest(body)


def shuffled(value: Any, dice: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        dice.shuffle(names)
        return {name: shuffled(value[name], dice) for name in names}
    return [shuffled(item, dice) for item in value] if isinstance(value, list) else value


@given(values)
def test_a_canonical_value_is_its_own_canonical_value(value: Any) -> None:
    # But for times: what was 5 s is 5000 ms, which as a number would be seconds again.
    assume(not re.search(r'(date|ts|_at)": ', json.dumps(value)))
    made = canonical(value)
    assert canonical_json(made) == canonical_json(value)
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


@given(bodies, bodies)
def test_what_differs_has_another_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    told = [json.dumps(canonical(body), sort_keys=True) for body in (one, other)]
    assert (digest(one) == digest(other)) is (told[0] == told[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": 1.0}, {"n": 1}), ({"n": -0.0}, {"n": 0}), ({"n": [1.0]}, {"n": [1]}), ({"a": None}, {}),
        ({"a": {"b": None}}, {"a": {}}), ({"n": 1e21}, {"n": 10**21}), ({"n": 0.1}, {"n": 0.1000}),
        ({"seen_at": "2026-11-20T20:00:00Z"}, {"seen_at": 1795204800}),
        ({"seen_at": "2026-11-20T20:00:00+00:00"}, {"seen_at": 1795204800000}),
        ({"seen_at": "2026-11-20T23:30:00.250+03:30"}, {"seen_at": 1795204800250}),
        ({"date": 1795204800.25}, {"date": "2026-11-20t20:00:00.2509z"}),
        ({"ts": 1795204800250.0}, {"ts": 1795204800.25}),
    ],
)  # fmt: skip
def test_what_means_the_same_is_the_same(one: Any, other: Any) -> None:
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"n": 1}, {"n": True}), ({"n": 1}, {"n": "1"}), ({"n": 0}, {"n": False}), ({"n": 2**53}, {"n": 2**53 + 1}),
        ({"n": 10**30}, {"n": 10**30 + 1}), ({"a": "é"}, {"a": "e\u0301"}), ({"a": ""}, {}), ({"a": []}, {}),
        ({"a": [None]}, {"a": []}), ({"a": [1, 2]}, {"a": [2, 1]}), ({"n": 0.1}, {"n": 0.10000000000000002}),
        ({"at": "2026-11-20T20:00:00Z"}, {"at": 1795204800}), ({"seen_at": "2026-02-30T00:00:00Z"}, {"seen_at": 0}),
        ({"seen_at": "soon"}, {"seen_at": "later"}), ({"seen_at": True}, {"seen_at": 1}),
        ({"A": 1}, {"a": 1}),
    ],
)  # fmt: skip
def test_what_does_not_is_not(one: Any, other: Any) -> None:
    assert digest(one) != digest(other)


def test_a_domains_own_times_are_times_there_and_nowhere_else() -> None:
    one, other = {"due": "2026-11-20T20:00:00Z"}, {"due": 1795204800}
    assert digest(one, times_of("workspace/kanban")) == digest(other, times_of("workspace/kanban"))
    assert digest(one, times_of("workspace/notes")) != digest(other, times_of("workspace/notes"))


def test_keys_are_sorted_by_code_point() -> None:
    # UTF-16, which JavaScript sorts by, has these the other way round.
    assert canonical_json({"\U00010000": 1, "\uffff": 2, "a": 3}) == '{"a":3,"\uffff":2,"\U00010000":1}'.encode()


def test_half_a_surrogate_pair_has_no_canonical_form() -> None:
    with pytest.raises(ValueError, match="no canonical form"):
        digest({"a": "\ud800"})


@given(st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)), st.integers(-1439, 1439))
def test_a_time_is_the_same_in_every_notation(moment: datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = (aware - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)  # noqa: UP017 - the same
    assert millis_of(aware.isoformat()) == expected


@pytest.mark.parametrize(
    "value",
    [None, True, "", "2026-11-20", "20261120T200000Z", "2026-11-20T20:00:00", "2026-11-20T20:00:60Z",
     "0000-01-01T00:00:00Z", "2026-11-20T20:00:00Z\n", "\uff12026-11-20T20:00:00Z", 1e300, float("nan"), float("inf"),
     10**20, [1], {}],
)  # fmt: skip
def test_what_is_no_time_is_none(value: Any) -> None:
    assert millis_of(value) is None


def test_fifty_thousand_small_records_a_second() -> None:
    """On one core. 180,000 were measured; a machine that is shared may be three times as slow."""
    record = {"id": "a1", "name": "Berlin 3", "status": "active", "host": "10.0.0.3", "port": 8080, "price": 3.5,
              "tags": ["eu", "fast"],
              "created_at": 1795204800000, "updated_at": "2026-11-20T20:00:00.000Z"}  # fmt: skip
    times, best = times_of("resources/proxies"), 0.0
    for _ in range(5):
        began = time.process_time()
        for _ in range(5_000):
            digest(record, times)
        best = max(best, 5_000 / (time.process_time() - began))
    assert best > 50_000
