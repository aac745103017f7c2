"""What the host remembers: records first, then the seal, then the line; five releases are kept."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def store(plugin):
    return plugin("module_utils", "release_store")


def state(number: int, before: list[int], **more) -> dict:
    unit = {
        "active": "blue",
        "images": {"blue": f"r/x@{number}"},
        "tags": {"blue": f"t{number}"},
        "definitions": {"blue": {"services": {"x": {}}}},
    }
    return {"number": number, "last": number, "tag": f"t{number}", "before": before, "units": {"x": unit}, **more}


def line(number: int) -> dict:
    return {"number": number, "at": "2026-11-21T04:00:00Z", "by": "ann", "tag": f"t{number}", "verdict": "success"}


def lines(root) -> list[dict]:
    return [json.loads(text) for text in (root / "releases.jsonl").read_text().splitlines()]


def test_a_seal_writes_a_record_that_can_be_gone_back_to(store, tmp_path):
    assert store.seal(tmp_path, state(1, [], schema={"head": "0002", "works_with": ["0002"]}), line(1)) == [1]
    kept = store.records(tmp_path)[1]
    assert kept["units"] == {"x": {"image": "r/x@1", "tag": "t1", "definition": {"services": {"x": {}}}}}
    assert kept["schema"] == {"head": "0002"}
    assert json.loads((tmp_path / "release.json").read_text())["entry"] == line(1)
    assert lines(tmp_path) == [line(1)]


def test_five_releases_are_kept(store, tmp_path):
    for number in range(1, 8):
        stay = store.seal(tmp_path, state(number, list(range(number - 1, 0, -1))), line(number))
    assert stay == [7, 6, 5, 4, 3]
    assert sorted(store.records(tmp_path)) == [3, 4, 5, 6, 7]
    assert len(lines(tmp_path)) == 7


def test_a_rollback_keeps_its_goal_and_what_lies_behind_it_before_anything_else(store):
    assert store.kept({"number": 2, "before": [1]}, [1, 2, 3, 4, 5, 6, 7]) == [2, 1, 7, 6, 5]


def test_a_rollback_leaves_the_record_it_goes_to_as_it_was(store, tmp_path):
    store.seal(tmp_path, state(1, []), line(1))
    before = (tmp_path / "releases/000001.json").read_text()
    store.seal(tmp_path, state(2, [1]), line(2))
    back = {**state(1, []), "last": 2, "rolled_back_from": 2}
    store.seal(tmp_path, back, {**line(1), "by": "bob"})
    assert (tmp_path / "releases/000001.json").read_text() == before


def test_a_record_that_was_never_sealed_is_written_over(store, tmp_path):
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases/000001.json").write_text(json.dumps({"number": 1, "units": {}}))
    store.seal(tmp_path, state(1, []), line(1))
    assert store.records(tmp_path)[1]["units"]["x"]["tag"] == "t1"


def test_a_line_that_was_cut_off_is_added_by_the_next_seal(store, tmp_path):
    store.seal(tmp_path, state(1, []), line(1))
    (tmp_path / "releases.jsonl").write_text("")
    store.seal(tmp_path, state(2, [1]), line(2))
    assert lines(tmp_path) == [line(1), line(2)]


def test_a_record_that_cannot_be_read_keeps_nobody_from_the_others(store, tmp_path):
    store.seal(tmp_path, state(1, []), line(1))
    (tmp_path / "releases/000009.json").write_text("{")
    assert list(store.records(tmp_path)) == [1]


def test_a_rollback_to_the_registry_stands_over_a_record_that_was_never_sealed(store, tmp_path):
    store.seal(tmp_path, state(1, []), line(1))
    (tmp_path / "releases/000002.json").write_text(json.dumps({"number": 2, "tag": "bad", "units": {}}))
    store.seal(tmp_path, state(2, [1], rolled_back_from=1), line(2))
    assert store.records(tmp_path)[2]["tag"] == "t2"
