"""Typed reading of one entry of a declaration, with errors that name the entry and say what it should look like."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class BadEntry(ValueError):
    """An entry that cannot be understood; nothing has been changed."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")


def listed(raw: Mapping[str, Any], name: str) -> Sequence[Any]:
    """The list called `name`, empty when it is not there."""
    value = raw.get(name)
    if value is None:
        return []
    if not isinstance(value, (list, tuple)):
        raise BadEntry(name, f"must be a list, but is a {type(value).__name__}")
    return value


class Fields:
    """One mapping, `where` it stands and what it may hold."""

    def __init__(self, where: str, raw: Any, allowed: Iterable[str] | None = None) -> None:
        if not isinstance(raw, Mapping):
            raise BadEntry(where, f"must be a mapping such as {{name: …}}, but is {raw!r}")
        self.where, self.raw = where, raw
        if allowed is not None:
            self.allow(allowed)

    def named(self, name: str) -> Fields:
        """The same entry, called by its name in the errors to come."""
        return Fields(f"{self.where} ({name})", self.raw)

    def allow(self, names: Iterable[str]) -> None:
        known = sorted(names)
        unknown = sorted(set(self.raw) - set(known), key=str)
        if unknown == [True]:
            raise BadEntry(self.where, "YAML reads a bare `on` or `yes` as true; quote it, or did you mean `run_on`?")
        if unknown:
            raise BadEntry(self.where, f"does not know `{unknown[0]}`; it knows {', '.join(known)}")

    def optional(self, name: str) -> str | None:
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            raise BadEntry(f"{self.where} {name}", f"must be a text, but is {value!r}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        value = self.optional(name) or default
        if value is None:
            raise BadEntry(self.where, f"needs a `{name}`")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.raw.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise BadEntry(f"{self.where} {name}", f"must be true or false, but is {value!r}")
        return value

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        value = self.text(name, default)
        if value not in choices:
            raise BadEntry(f"{self.where} {name}", f"must be one of {', '.join(choices)}, but is {value!r}")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """A list of texts, empty when it is not there."""
        values = listed(self.raw, name)
        for value in values:
            if not isinstance(value, str) or not value:
                raise BadEntry(f"{self.where} {name}", f"must be a list of texts, but one is {value!r}")
        return tuple(values)

    def command(self, name: str) -> tuple[str, ...]:
        """A command as a list, or as one text that is split like a shell does; empty when it is not there."""
        value = self.raw.get(name)
        if isinstance(value, str):
            return tuple(shlex.split(value))
        return self.words(name)
