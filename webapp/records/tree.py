"""The settings tree, as a value: looking into it, and what becomes of it. Pure; nothing given is changed.

A tree is objects down to its values; a list is a value. So no path leads into one, and none is made through a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from webapp.errors import MoorageError
from webapp.records.refusals import RecordNotFound

Tree = dict[str, Any]
LONGEST_PATH = 32


class SettingsPathBlocked(MoorageError):
    status, code = 409, "SETTINGS_PATH_BLOCKED"
    message = "Something on this path is a value and no object. Replace it first, by PUT at its own path."

    def __init__(self, parts: Sequence[str]) -> None:
        super().__init__(details={"path": "/".join(parts)})


def at(tree: Tree, parts: Sequence[str]) -> Any:
    """What is at a path; the tree itself for none. Raises RecordNotFound."""
    found: Any = tree
    for part in parts:
        if not isinstance(found, Mapping) or part not in found:
            raise RecordNotFound
        found = found[part]
    return found


def put(tree: Tree, parts: Sequence[str], value: Any) -> Tree:
    """The tree with a value at a path, and the objects that lead there. Null takes away what was there.

    Raises SettingsPathBlocked.
    """
    if not parts:
        return dict(value)
    return _replaced(tree, tuple(parts), 0, value)


def patch(tree: Tree, parts: Sequence[str], changes: Mapping[str, Any]) -> Tree:
    """The tree with fields of the object at a path replaced, and those removed that are given as null.

    Raises SettingsPathBlocked, also where there is a value and no object at the path.
    """
    try:
        before = at(tree, parts)
    except RecordNotFound:
        before = None
    before = {} if before is None else before
    if not isinstance(before, Mapping):
        raise SettingsPathBlocked(parts)
    return put(tree, parts, merged(before, changes))


def merged(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A shallow merge: each field given replaces the one before, null removes it."""
    return {name: value for name, value in {**before, **changes}.items() if changes.get(name, True) is not None}


def _replaced(tree: Mapping[str, Any], parts: tuple[str, ...], depth: int, value: Any) -> Tree:
    name = parts[depth]
    if depth == len(parts) - 1:
        return merged(tree, {name: value})
    below = {} if tree.get(name) is None else tree[name]
    if not isinstance(below, Mapping):
        raise SettingsPathBlocked(parts[: depth + 1])
    if value is None and tree.get(name) is None:
        return dict(tree)  # nothing to take away, so nothing to make
    return {**tree, name: _replaced(below, parts, depth + 1, value)}
