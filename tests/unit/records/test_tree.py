"""The settings tree: what stands at a path after each change, and that what was given is left alone."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from webapp.records import tree
from webapp.records.refusals import RecordNotFound
from webapp.records.tree import SettingsPathBlocked

TREE: dict[str, Any] = {"ui": {"theme": "dark", "tabs": [1, 2], "none": None}, "n": 1}


@pytest.mark.parametrize(
    ("parts", "found"), [([], TREE), (["ui"], TREE["ui"]), (["ui", "theme"], "dark"), (["ui", "none"], None)]
)
def test_what_is_at_a_path(parts: list[str], found: Any) -> None:
    assert tree.at(TREE, parts) == found


@pytest.mark.parametrize("parts", [["x"], ["ui", "x"], ["n", "x"], ["ui", "tabs", "0"], ["ui", "theme", "0"]])
def test_what_is_not(parts: list[str]) -> None:
    with pytest.raises(RecordNotFound):
        tree.at(TREE, parts)


@pytest.mark.parametrize(
    ("parts", "value", "becomes"),
    [
        (["n"], 2, TREE | {"n": 2}),
        (["n"], None, {"ui": TREE["ui"]}),
        (["a", "b", "c"], {}, TREE | {"a": {"b": {"c": {}}}}),
        (["a", "b"], None, TREE),
        (["ui", "theme"], {"name": "x"}, TREE | {"ui": TREE["ui"] | {"theme": {"name": "x"}}}),
        (["ui", "none", "x"], 1, TREE | {"ui": TREE["ui"] | {"none": {"x": 1}}}),
        ([], {"new": 1}, {"new": 1}),
    ],
)
def test_put(parts: list[str], value: Any, becomes: Any) -> None:
    before = deepcopy(TREE)
    assert tree.put(TREE, parts, value) == becomes and before == TREE


@pytest.mark.parametrize(
    ("parts", "changes", "becomes"),
    [
        ([], {"n": None, "m": 2}, {"ui": TREE["ui"], "m": 2}),
        (["ui"], {"theme": None, "tabs": []}, TREE | {"ui": {"tabs": [], "none": None}}),
        (["a", "b"], {"c": 1}, TREE | {"a": {"b": {"c": 1}}}),
        (["ui"], {"deep": {"x": None}}, TREE | {"ui": TREE["ui"] | {"deep": {"x": None}}}),
    ],
)
def test_patch(parts: list[str], changes: Any, becomes: Any) -> None:
    before = deepcopy(TREE)
    assert tree.patch(TREE, parts, changes) == becomes and before == TREE


def test_no_path_is_made_through_a_value() -> None:
    for parts in (["n", "x"], ["ui", "tabs", "0"], ["ui", "theme", "x", "y"]):
        with pytest.raises(SettingsPathBlocked):
            tree.put(TREE, parts, 1)
        with pytest.raises(SettingsPathBlocked):
            tree.patch(TREE, parts, {"a": 1})
    with pytest.raises(SettingsPathBlocked):
        tree.patch(TREE, ["n"], {"a": 1})
