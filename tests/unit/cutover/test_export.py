"""An export file of RTDB as a source: which collections, in which order, from where on, and in how much memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.cutover.writing import ACME, NOTES, OTHER, around, export_of
from webapp.cutover import reader
from webapp.cutover.meaning import read_json
from webapp.cutover.sources import Place, SourceGone, SourceTruncated, SourceUnreadable

ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=".$#[]/"), min_size=1, max_size=6)
numbers = st.integers(0, 3000).map(str)


def ids_of(found: Any) -> list[str]:
    return [item.id for item in found]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.dictionaries(ids | numbers, st.just({"n": 1}), min_size=1, max_size=30), ids | numbers, ids | numbers)
def test_records_come_in_the_order_of_their_bytes_between_any_two_ids(
    tmp_path: Path, records: dict[str, Any], after: str, upto: str
) -> None:
    source = export_of(tmp_path, around(json.dumps(records, ensure_ascii=False).encode()))
    ordered = sorted(records, key=str.encode)
    assert source.places() == [NOTES] and source.count(NOTES) == len(records)
    assert ids_of(source.records(NOTES)) == ordered
    assert ids_of(source.records(NOTES, after=after)) == [one for one in ordered if one > after]
    assert ids_of(source.records(NOTES, after=after, upto=upto)) == [one for one in ordered if after < one <= upto]
    assert all((source.one(NOTES, one) or NOTES) != NOTES for one in ordered)
    assert (source.one(NOTES, after) is not None) == (after in records)


def test_a_large_collection_is_read_from_the_middle_and_cut_into_even_pieces(tmp_path: Path) -> None:
    names = [f"-N{at:06}" for at in range(9_000)]
    source = export_of(tmp_path, around(json.dumps({name: {"n": 1} for name in names}).encode()))
    assert ids_of(source.records(NOTES, after=names[7_654])) == names[7_655:]
    cuts = source.cuts(NOTES, 2)
    assert len(cuts) == 1 and 3_000 < names.index(cuts[0]) < 7_000
    first, second = source.records(NOTES, upto=cuts[0]), source.records(NOTES, after=cuts[0])
    assert ids_of(first) + ids_of(second) == names


def test_numbers_in_rtdbs_order_are_sorted_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.cutover.spool.RUN", 50)
    names = [str(at) for at in range(1_000)] + ["-Na", "a"]
    source = export_of(tmp_path, around(json.dumps({name: {"n": name} for name in names}).encode()))
    found = list(source.records(NOTES))
    assert ids_of(found) == sorted(names)
    assert [item.value["n"] for item in found] == sorted(names)
    assert ids_of(source.records(NOTES, after="998")) == ["999", "a"]


def test_what_rtdb_made_an_array_of_has_its_places_as_ids(tmp_path: Path) -> None:
    source = export_of(tmp_path, around(b'[null,{"n":1},null,{"n":3},"text",{"n":5},1,2,3,4,{"n":10}]'))
    assert ids_of(source.records(NOTES)) == ["1", "10", "3", "4", "5", "6", "7", "8", "9"]
    one = source.one(NOTES, "10")
    assert one is not None and one.raw == b'{"n":10}'


def test_every_tenants_collections_and_tree_are_found_and_the_rest_is_named(tmp_path: Path) -> None:
    content = {
        "base": {
            "tenants": {
                str(ACME): {"bots": {"b1": {"n": 1}}, "settings": {"theme": "dark"}, "resources": {"cars": {"x": {}}}},
                str(OTHER): {"finance": {"operations": {"o1": {}}, "daily-stats": {"d": 1}}, "workspace": 5},
                "Not A Tenant": {"bots": {"b": {}}},
                str(ACME).upper(): {"bots": {"b": {}}},
            },
            "users": {"u": 1},
        },
        "elsewhere": 1,
    }
    source = export_of(tmp_path, content, root="/base/")
    assert source.places() == [
        Place(OTHER, "finance/operations"), Place(ACME, "bots"), Place(ACME, "settings"),
    ]  # fmt: skip
    assert [(item.id, item.value) for item in source.records(Place(ACME, "settings"))] == [("tree", {"theme": "dark"})]
    assert [stray.path for stray in source.strays()] == [
        f"base/tenants/{ACME}/resources/cars",
        f"base/tenants/{OTHER}/finance/daily-stats",
        f"base/tenants/{OTHER}/workspace",
        "base/tenants/Not A Tenant",
        f"base/tenants/{str(ACME).upper()}",
        "base/users",
        "elsewhere",
    ]
    assert source.stray_count() == 7


def test_an_id_that_stands_twice_counts_once_as_its_last(tmp_path: Path) -> None:
    for content in (b'{"a":{"n":1},"a":{"n":2},"b":{}}', b'{"b":{},"a":{"n":1},"c":{},"a":{"n":2}}'):
        source = export_of(tmp_path, around(content))
        found = {item.id: item.raw for item in source.records(NOTES)}
        assert found["a"] == b'{"n":2}' and len(list(source.records(NOTES))) == len(found)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", SourceUnreadable),
        (b"{} x", SourceUnreadable),
        (around(b'{"a":{"n":1},"b":{"n"'), SourceUnreadable),
        (around(b'{"a":{"n":1}}')[:-3], SourceTruncated),
        (b'{"tenants":{"' + str(ACME).encode() + b'":{"bots":{"a":{}},"bots":{"b":{}}}}}', SourceUnreadable),
    ],
)
def test_a_file_that_is_no_export_says_so(tmp_path: Path, content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        export_of(tmp_path, content).places()


def test_null_is_an_export_of_nothing_and_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    assert export_of(tmp_path, b"null").places() == []
    source = export_of(tmp_path, around(b'{"a":{}}'))
    assert source.places() == [NOTES]
    (tmp_path / "export.json").unlink()
    with pytest.raises(SourceGone, match=r"export\.json"):
        list(source.records(NOTES))


_PEAK = """
import sys
from pathlib import Path
from webapp.cutover import spool
from webapp.cutover.export import RtdbExport
spool.RUN = 5_000
source = RtdbExport(Path(sys.argv[1]))
for place in source.places():
    count = sum(1 for _ in source.records(place))
    # Of this program alone: getrusage begins with what the parent had.
    print(count, Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def test_memory_is_flat_over_a_tenfold_larger_file(tmp_path: Path) -> None:
    peaks = []
    for count in (10_000, 100_000):
        path = tmp_path / f"{count}.json"
        with path.open("wb") as file:
            file.write(around(b"@").partition(b"@")[0] + b"{")
            for at in range(count):
                # Not in the order of the ids: the harder case.
                file.write(b'%s"%d":{"text":"%s"}' % (b"," if at else b"", count - at, b"x" * 300))
            file.write(b"}" + around(b"@").partition(b"@")[2])
        done = subprocess.run([sys.executable, "-c", _PEAK, path], capture_output=True, text=True, check=True)
        read, peak = map(int, done.stdout.split())
        assert read == count
        peaks.append(peak)
    assert peaks[1] < 1.5 * peaks[0] and peaks[1] < 300 * 1024, peaks


odd = st.sampled_from([
    {"n": 2**70}, {"t": "a\0"}, {"_exact": "{}"}, {"t": "}{,\"},"}, {"a": {"b": {"c": [{}]}}}, [1, 2], 5,
    {"d": [[{"x": {}}]]},
])  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(
    st.dictionaries(ids | numbers, st.just({"n": 1, "in": {"x": {}}}) | odd, max_size=40), st.integers(30, 400),
    st.sampled_from([None, 1]), ids, ids,
)  # fmt: skip
def test_many_at_once_are_the_same_records(
    tmp_path: Path, records: dict[str, Any], block: int, indent: int | None, after: str, upto: str
) -> None:
    ordered = dict(sorted(records.items()))
    source = export_of(tmp_path, around(json.dumps(ordered, indent=indent).encode()))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reader, "BLOCK", block)
        assert source.count(NOTES) == len(records)
        for span in ({}, {"after": after}, {"upto": upto}, {"after": after, "upto": upto}):
            one_by_one = [(item.id, read_json(item.raw or b"")) for item in source.records(NOTES, **span)]
            at_once = list(source.values(NOTES, **span))
            assert [(item.id, read_json(item.raw) if item.raw else item.value) for item in at_once] == one_by_one
            plain = [item.value for item in at_once if item.raw == b""]
            assert all(isinstance(value, dict) and value not in ({"n": 2**70}, {"t": "a\0"}) for value in plain)


def test_many_at_once_pass_over_what_is_wrong_and_take_the_last_of_an_id(tmp_path: Path) -> None:
    good = b",".join(b'"r%03d":{"n":%d}' % (at, at) for at in range(300))
    content = around(b"{" + good + b',"s":{"n":1.2.3},"t":{"n":1},"t":{"n":2},"u":{"t":"\xff"},"v":{}}')
    source = export_of(tmp_path, content)
    found = list(source.values(NOTES))
    assert [item.id for item in found[300:]] == ["s", "t", "u", "v"]
    assert (found[300].raw, found[302].raw) == (b'{"n":1.2.3}', b'{"t":"\xff"}')
    assert (found[301].value or read_json(found[301].raw or b"")) == {"n": 2}
    assert ids_of(source.records(NOTES)) == ids_of(found)
    assert [stray.path for stray in source.strays()] == [f"tenants/{NOTES}/t"]
