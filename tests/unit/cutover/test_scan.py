"""Values are cut out of a file at the right places, whatever is in them and wherever the pieces read end."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.cutover.reader import Reader
from webapp.cutover.scan import members, walk
from webapp.cutover.sources import Item, SourceTruncated, SourceUnreadable

texts = st.text(alphabet=st.sampled_from('ab"\\{}[],:é\u2028\U0001f680 \n'), max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)


def read(content: bytes, *, chunk: int = 1 << 20, largest: int = 1 << 20) -> list[Item]:
    reader = Reader(io.BytesIO(content), 0, largest=largest, chunk=chunk)
    found = list(walk(reader, array=content.lstrip()[:1] == b"["))
    assert reader.nothing_left()
    return found


@given(st.dictionaries(texts, values, max_size=8), st.integers(1, 40), st.booleans(), st.sampled_from([None, 2]))
def test_every_record_of_an_object_comes_out_as_it_went_in(
    records: dict[str, Any], chunk: int, ascii_only: bool, indent: int | None
) -> None:
    content = json.dumps(records, ensure_ascii=ascii_only, indent=indent).encode()
    found = {item.id: json.loads(item.raw or b"") for item in read(content, chunk=chunk)}
    assert found == {name: value for name, value in records.items() if value is not None}
    assert read(content) == read(content, chunk=chunk) or chunk < len(content)


@given(st.lists(values, max_size=6), st.integers(1, 30))
def test_an_arrays_records_have_their_place_as_id_and_holes_are_none(records: list[Any], chunk: int) -> None:
    found = {item.id: json.loads(item.raw or b"") for item in read(json.dumps(records).encode(), chunk=chunk)}
    assert found == {str(at): value for at, value in enumerate(records) if value is not None}


@given(st.dictionaries(texts, values, min_size=1, max_size=5), st.data())
def test_a_file_that_ends_too_early_says_at_which_byte(records: dict[str, Any], data: st.DataObject) -> None:
    content = json.dumps(records).encode()
    cut = data.draw(st.integers(1, len(content) - 1))
    with pytest.raises(SourceTruncated, match=f"ends at byte {cut}\\b"):
        read(content[:cut])


BAD = [
    b'{"text":"\xff\xfe"}',
    b'{"n":1.2.3}',
    b'{"n":01}',
    b'{"n":NaN}',
    b'{"a" 1}',
    b'{"a":[}]',
    b"{" * 3 + b"}" * 3,
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b"[" * 5000 + b"]" * 5000,
    b'{"a":"' + b"x" * 300_000 + b'"}',
    b"word",
    b'"\x01"',
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("chunk", [1 << 20, 17])
def test_one_bad_record_does_not_end_the_file(bad: bytes, chunk: int) -> None:
    found = read(b'{"a":{"n":1},"b":' + bad + b',"c":{"n":3},"d":' + bad + b"}", chunk=chunk)
    assert [(item.id, item.raw) for item in found] == [("a", b'{"n":1}'), ("b", bad), ("c", b'{"n":3}'), ("d", bad)]


def test_a_value_over_the_limit_is_passed_and_not_kept() -> None:
    content = b'{"a":{"n":1},"b":{"x":"' + b"y" * 5000 + b'"},"c":{"n":3}}'
    found = read(content, largest=1000, chunk=100)
    assert [(item.id, item.raw) for item in found] == [("a", b'{"n":1}'), ("b", None), ("c", b'{"n":3}')]


def test_names_are_read_as_json_says_them_and_bad_ones_stay_tellable() -> None:
    found = read(b'{"a\\u00e9\\"":{},"\xff":{},"\\ud800":{}}')
    assert [item.id for item in found] == ['aé"', "\udcff", "\\ud800"]


@pytest.mark.parametrize("content", [b'{"a":{}"b":{}}', b'{"a":{};', b"{a:1}", b'{"a":1,}', b'{"a":{},,"b":{}}'])
def test_a_structure_that_is_none_is_an_error_with_its_byte(content: bytes) -> None:
    with pytest.raises(SourceUnreadable, match=r"[Bb]yte \d+"):
        read(content)


def test_the_reader_goes_through_levels_by_name() -> None:
    reader = Reader(io.BytesIO(b' {"a":{"x":1,"y":[]},"b": [10, {"z":2}] } '), 0, largest=100)
    seen = []
    for name in members(reader):
        for inner in members(reader):
            seen.append((name, inner, reader.skip()))
    assert seen == [("a", "x", 1), ("a", "y", 2), ("b", "0", 2), ("b", "1", 7)]
    assert reader.nothing_left()
