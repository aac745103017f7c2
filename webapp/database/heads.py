"""Which migration this code is written for, without loading Alembic into every process that must know it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import migrations

VERSIONS = Path(migrations.__file__).parent / "versions"


@cache
def head() -> str:
    """The one revision that no other builds on. Raises RuntimeError where there are two, or none."""
    revisions: set[str] = set()
    below: set[str] = set()
    for path in VERSIONS.glob("[0-9]*.py"):
        names = _constants(path)
        revisions.add(str(names["revision"]))
        below.add(str(names["down_revision"]))
    heads = revisions - below
    if len(heads) != 1:
        raise RuntimeError(f"migrations must end in one head, not in {sorted(heads)}")
    return heads.pop()


def _constants(path: Path) -> dict[str, object]:
    tree = ast.parse(path.read_text())
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
