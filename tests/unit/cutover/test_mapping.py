"""From a record of the source to a row: what becomes of everything that does not go over by itself."""

from __future__ import annotations

import json
import tracemalloc
import unicodedata
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rtdb.values import kept, shown
from tests.unit.cutover.writing import ACME, NOTES
from webapp.cutover.findings import EXAMPLES, Fate, Finding, Findings, Kind
from webapp.cutover.inspecting import Inspector
from webapp.cutover.mapping import Row, Unmappable, row_of
from webapp.cutover.meaning import read_json
from webapp.cutover.sources import Item, Place
from webapp.records.canonical import canonical_json
from webapp.records.exactness import written

keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8).filter(
    lambda name: name not in ("_exact", "id", "created_at", "updated_at")
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10)
# What the door reads of a client's integers; larger ones are floats by then.
integers = st.integers(-(2**63), 2**64 - 1)
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))


def row(raw: bytes, *, record_id: str = "a", collection: str = "workspace/notes") -> Row:
    return row_of(collection, Item(record_id, raw), read_json)


def found(*records: tuple[str, bytes], place: Place = NOTES, allowed: frozenset[str] = frozenset()) -> list[Finding]:
    findings = Findings()
    inspector = Inspector(place, findings, allowed)
    for record_id, raw in records:
        inspector.see(Item(record_id, raw), read_json)
    inspector.end()
    return list(findings)


@given(st.dictionaries(keys, values, max_size=5))
def test_a_body_goes_over_exactly(body: dict[str, Any]) -> None:
    made = row(json.dumps(body).encode())
    # As text, for to Python True is 1 and 1.0 is 1.
    assert json.dumps(json.loads(made.body)) == json.dumps(body)


@pytest.mark.parametrize(
    ("given_at", "millis"),
    [
        (b'"2026-11-20T20:00:00Z"', 1_795_204_800_000),
        (b'"2026-11-20T21:00:00.5+01:00"', 1_795_204_800_500),
        (b"1795204800", 1_795_204_800_000),
        (b"1795204800.25", 1_795_204_800_250),
        (b"1795204800000", 1_795_204_800_000),
        (b"null", None),
    ],
)
def test_the_rows_own_times_become_milliseconds_from_three_notations(given_at: bytes, millis: int | None) -> None:
    made = row(b'{"id":"a","n":1,"created_at":' + given_at + b',"updated_at":' + given_at + b"}")
    assert made == Row("a", b'{"n":1}', millis, millis)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b'{"t":"\xff"}', Kind.UNREADABLE),
        (b'{"n":1.2.3}', Kind.UNREADABLE),
        (b'{"n":1e999}', Kind.UNREADABLE),
        (b'{"n":9999999999999999999999,"m":NaN}', Kind.UNREADABLE),
        (b'{"t":"\\ud800"}', Kind.UNREADABLE),
        (b'{"t":"a\\u0000"}', Kind.NUL),
        (b'{"a\\u0000":1}', Kind.NUL),
        (b'{"a":' * 300 + b"1" + b"}" * 300, Kind.TOO_DEEP),
        (b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}", Kind.TOO_DEEP),
        (b'"text"', Kind.NOT_AN_OBJECT),
        (b"5", Kind.NOT_AN_OBJECT),
        (b'{"created_at":"yesterday"}', Kind.BAD_TIME),
        (b'{"updated_at":true}', Kind.BAD_TIME),
        (b'{"updated_at":1e300}', Kind.BAD_TIME),
    ],
)
def test_what_can_be_no_row_says_why_and_stops_the_cutover(raw: bytes, kind: Kind) -> None:
    with pytest.raises(Unmappable) as refused:
        row(raw)
    assert refused.value.kind is kind and kind.fate is Fate.STOPS
    assert [(one.kind, one.count) for one in found(("a", raw))] == [(kind, 1)]


@pytest.mark.parametrize("record_id", ["", "a/b", "a.b", "a\nb", "x" * 769, "\udcff", "é" * 385])
def test_an_id_that_none_can_be_stops_the_cutover(record_id: str) -> None:
    [one] = found((record_id, b"{}"))
    assert one.kind is Kind.BAD_ID
    one.examples[0].encode()


def test_a_text_that_only_speaks_of_u0000_is_kept() -> None:
    assert row(b'{"t":"\\\\u0000"}').body == b'{"t":"\\\\u0000"}'


def test_a_value_of_ten_megabytes_goes_over_and_is_told() -> None:
    raw = orjson.dumps({"t": "x" * 10_000_000})
    assert row(raw).body == raw
    assert [one.kind for one in found(("a", raw))] == [Kind.LARGE]


def test_braces_in_texts_are_no_depth() -> None:
    raw = orjson.dumps({"t": "{[" * 500})
    assert row(raw).body == raw and found(("a", raw)) == []


@pytest.mark.parametrize("number", [2**53 + 1, 2**64 - 1, 2**64 + 1, -(2**70), 10**40])
def test_an_integer_beyond_2_53_stays_exact_and_is_told(number: int) -> None:
    raw = b'{"n":%d}' % number
    assert row(raw).body == raw
    [one] = found(("a", raw))
    assert (one.kind, one.name, one.kind.fate) == (Kind.LARGE_NUMBER, "n", Fate.KEPT)


def test_more_digits_than_a_double_has_are_told() -> None:
    [one] = found(("a", b'{"n":0.12345678901234567890123}'), ("b", b'{"n":0.1}'), ("c", b'{"n":1234567890.1234567}'))
    assert (one.kind, one.count) == (Kind.LONG_FRACTION, 1)


@given(st.dictionaries(keys, values, max_size=4), st.booleans())
def test_what_rtdb_could_not_keep_goes_over_as_it_was_given(body: dict[str, Any], dated: bool) -> None:
    times = {"created_at": 1_795_204_800_000} if dated else {}
    # As webapp/records writes it, and RTDB gives it back.
    stored = shown(kept({**written(body), **times}) or {})
    made = row(json.dumps(stored).encode())
    # RTDB shows a whole float as an integer, which means the same.
    assert canonical_json(json.loads(made.body)) == canonical_json(body)
    assert made.created_at == times.get("created_at")


def test_what_somebody_changed_beside_its_exact_form_counts() -> None:
    stored = {"0": "x", "1": "y", "_exact": '{"0":"x","1":"z"}', "created_at": 1_795_204_800_000}
    assert json.loads(row(json.dumps(stored).encode()).body) == {"0": "x", "1": "y"}


def test_the_settings_tree_is_exact_as_a_whole() -> None:
    tree = {"created_at": [], "a": {}}
    made = row(json.dumps(shown(kept(written(tree)))).encode(), record_id="tree", collection="settings")
    assert made == Row("tree", b'{"created_at":[],"a":{}}', None, None)


def test_an_array_of_rtdbs_making_is_a_record_again() -> None:
    raw = b'[null,"one","two"]'
    assert json.loads(row(raw).body) == {"1": "one", "2": "two"}
    assert Kind.ARRAY_OF_RECORDS in {one.kind for one in found(("a", raw))}


def test_arrays_with_holes_and_odd_names_are_kept_and_told() -> None:
    raw = b'{"list":[null,1,null],"a.b":{"c/d":1,"":2}}'
    assert row(raw).body == raw
    assert [(one.kind, one.name, one.count) for one in found(("a", raw))] == [
        (Kind.HOLES, "list", 1),
        (Kind.ODD_KEY, "", 1),
        (Kind.ODD_KEY, "a.b", 2),
    ]


def test_mixed_types_and_notations_of_a_field_are_told_with_their_counts() -> None:
    records = [
        ("a", b'{"n":1,"date":"2026-11-20T20:00:00Z","created_at":1795204800}'),
        ("b", b'{"n":"1","date":1795204800,"created_at":1795204800000}'),
        ("c", b'{"n":1.5,"date":1795204800000,"created_at":"2026-11-20T20:00:00Z"}'),
        ("d", b'{"n":null,"date":"soon"}'),
    ]
    facts = [(one.kind, one.name, one.detail) for one in found(*records)]
    assert (Kind.MIXED_TYPES, "n", "number 2, text 1") in facts
    assert (Kind.TIME_NOTATIONS, "date", "RFC 3339 1, milliseconds 1, no time 1, seconds 1") in facts
    assert (Kind.MOMENT_NOTATION, "created_at", "RFC 3339 1, milliseconds 1, seconds 1") in facts


def test_ids_that_differ_in_case_or_form_alone_are_told() -> None:
    composed, apart = "caf\u00e9", unicodedata.normalize("NFD", "caf\u00e9")
    one, other = found(("Abc", b"{}"), ("abc", b"{}"), ("abd", b"{}"), (apart, b"{}"), (composed, b"{}"))
    assert (one.kind, one.count) == (Kind.SAME_BUT_CASE, 1) and one.examples == [f"{NOTES}/Abc and abc"]
    assert (other.kind, other.count) == (Kind.SAME_BUT_FORM, 1)


def test_texts_in_another_unicode_form_are_kept_letter_by_letter() -> None:
    raw = '{"t":"cafe\u0301"}'.encode()
    assert row(raw).body == raw
    assert [one.kind for one in found(("a", raw))] == [Kind.NOT_NORMAL]


def test_a_plain_secret_stops_the_cutover_unless_its_path_is_allowed() -> None:
    place = Place(ACME, "bots")
    records = ("a", b'{"auth":[{"api_key":"k-123"}],"token":""}')
    [one] = found(records, place=place)
    assert (one.kind, one.name, one.kind.fate) == (Kind.SECRET, "auth[].api_key", Fate.STOPS)
    assert "k-123" not in repr(one)
    assert found(records, place=place, allowed=frozenset({"records.bots.auth.api_key"})) == []


def test_an_id_field_of_another_value_is_left_out_and_told() -> None:
    assert row(b'{"id":"b","n":1}').body == b'{"n":1}'
    assert [(one.kind, one.kind.fate) for one in found(("a", b'{"id":"b"}'))] == [(Kind.ID_DIFFERS, Fate.LEFT_OUT)]


def test_memory_stays_small_however_many_fields_and_findings_there_are() -> None:
    findings = Findings()
    inspector = Inspector(NOTES, findings)
    tracemalloc.start()
    for at in range(20_000):
        inspector.see(Item(f"r{at}", b'{"f%d":"cafe\xcc\x81","x":{"y%d":[null]}}' % (at, at)), read_json)
    inspector.end()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40_000_000
    assert sum(one.count for one in findings) == 40_000
    assert all(len(one.examples) <= EXAMPLES for one in findings)
