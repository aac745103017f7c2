"""One record, and the texts of it that lists go by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Characters of a text that is sorted, filtered and searched; of a description. Migration 0011 has the same.
INDEXED, DESCRIBED = 200, 2000
# What the store itself adds.
OWN = frozenset({"id", "created_at", "updated_at"})
_NAMES = ("name", "title", "label")
# What `q` is looked for in beside the id: the first so many characters of each.
SEARCHED: Mapping[str, int] = {**dict.fromkeys(_NAMES, INDEXED), "description": DESCRIBED}


@dataclass(frozen=True)
class Record:
    """`body` has neither id nor the two times (milliseconds since the epoch), which migrated records may lack."""

    id: str
    body: Mapping[str, Any]
    created_at: int | None = None
    updated_at: int | None = None

    def shown(self) -> dict[str, Any]:
        """As clients see it."""
        times = {"created_at": self.created_at, "updated_at": self.updated_at}
        return {"id": self.id, **self.body, **{name: at for name, at in times.items() if at is not None}}


def text_of(body: Mapping[str, Any], name: str, length: int = INDEXED) -> str | None:
    """The beginning of a field that is a text; None for any other."""
    value = body.get(name)
    return value[:length] if isinstance(value, str) else None


def name_of(record: Record) -> str | None:
    """What a record is called: the first of name, title and label that is a text."""
    return next((text for name in _NAMES if (text := text_of(record.body, name)) is not None), None)


def searched(record: Record) -> str:
    """What `q` is looked for in, line by line, so that nothing is found across two fields."""
    texts = (text_of(record.body, name, length) for name, length in SEARCHED.items())
    return "\n".join([record.id, *(text or "" for text in texts)])
