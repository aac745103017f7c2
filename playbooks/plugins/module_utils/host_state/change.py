"""What a plan says: one difference between the declared and the real state, and how to remove it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


class StateError(Exception):
    """The declared state cannot be reached; the text says what happened and what to do."""


def matches(path: str, patterns: Iterable[str]) -> bool:
    """True when `path` is one of `patterns`, or lies under one that ends with a slash."""
    return any(path.startswith(p) if p.endswith("/") else path == p for p in patterns)


@dataclass(frozen=True)
class Change:
    """One thing to do. `apply` is called at most once, and never in check mode."""

    kind: str
    name: str
    what: str
    apply: Callable[[], None] = field(repr=False, compare=False)
    path: str | None = None
    key: str | None = None  # the promise in pending.json that this keeps
    diff: dict[str, str] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.what}"


@dataclass
class Outcome:
    """Everything that was changed, or in check mode would be."""

    changes: list[str] = field(default_factory=list)
    changed_paths: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)
    guard: str | None = None

    def add(self, change: Change) -> None:
        self.changes.append(str(change))
        if change.path is not None:
            self.changed_paths.append(change.path)
        self.diff.append(change.diff or {"prepared": f"{change}\n"})
