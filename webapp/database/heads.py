"""The chain of migrations as their files state it, without loading Alembic into every process that must know it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import migrations

VERSIONS = Path(migrations.__file__).parent / "versions"


@dataclass(frozen=True)
class Revision:
    """One migration. `works_with`: the oldest code (by its head) that still works on the tables after it."""

    id: str
    below: str | None
    works_with: str


@cache
def chain() -> tuple[Revision, ...]:
    """Every migration, the first one first. Raises RuntimeError, as `read` does."""
    return read(VERSIONS)


def read(folder: Path) -> tuple[Revision, ...]:
    """The migrations of a folder, the first one first.

    Raises RuntimeError where they do not make one line, or where one does not state a `works_with` of its own
    revision or of one before it.
    """
    found = [_read(path) for path in sorted(folder.glob("[0-9]*.py"))]
    above = {revision.below: revision for revision in found}
    if len(above) != len(found) or len({revision.id for revision in found}) != len(found):
        raise RuntimeError(f"migrations must be one line with one head, not {[revision.id for revision in found]}")
    line: list[Revision] = []
    while (following := above.get(line[-1].id if line else None)) is not None:
        line.append(following)
        if following.works_with not in (revision.id for revision in line):
            raise RuntimeError(f"migration {following.id} works with {following.works_with}, which is none before it")
    if not line or len(line) != len(found):
        raise RuntimeError(f"migrations must be one line with one head, not {[revision.id for revision in found]}")
    return tuple(line)


def head() -> str:
    """The revision that this code is written for. Raises RuntimeError, as `chain` does."""
    return chain()[-1].id


def works_with(at: str, line: tuple[Revision, ...]) -> list[str]:
    """The heads of the versions that work with tables at revision `at`, the oldest first.

    None older than what any migration so far has asked for, and none newer than the tables.
    """
    ids = [revision.id for revision in line]
    reached = ids.index(at) + 1
    oldest = max(ids.index(revision.works_with) for revision in line[:reached])
    return ids[oldest:reached]


def _read(path: Path) -> Revision:
    stated = _constants(path)
    try:
        below = stated["down_revision"]
        return Revision(str(stated["revision"]), str(below) if below else None, str(stated["works_with"]))
    except KeyError as missing:
        raise RuntimeError(f"{path.name} does not state {missing}") from None


def _constants(path: Path) -> dict[str, object]:
    tree = ast.parse(path.read_text())
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
