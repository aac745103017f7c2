"""Which versions of the code work with the tables as they are: the database itself says so, in a comment.

Older code does not know the migrations of newer code. So whoever migrates leaves on `alembic_version` the heads of
all versions that work with the result, and older code looks for its own there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

READ = "SELECT version_num, obj_description('alembic_version'::regclass, 'pg_class') FROM alembic_version"


@dataclass(frozen=True)
class Tables:
    """The revision that the tables are at (None: no migration has run), and the heads that work with them."""

    at: str | None
    works_with: tuple[str, ...] = ()

    @classmethod
    def read(cls, at: str | None, comment: str | None) -> Tables:
        """From what READ gives. A comment that is not ours says nothing."""
        try:
            said = json.loads(comment or "{}")
            heads = (said.get("works_with") or []) if isinstance(said, dict) else []
        except ValueError:
            heads = []
        return cls(at, tuple(str(head) for head in heads))


def comment(heads: list[str]) -> str:
    """What `Tables.read` reads."""
    return json.dumps({"works_with": heads})


def mismatch(tables: Tables, *, head: str, known: frozenset[str]) -> str | None:
    """Why code at `head`, which knows the migrations `known`, does not work with these tables; None where it does."""
    if tables.at == head or (tables.at and tables.at not in known and head in tables.works_with):
        return None
    if tables.at is None:
        return "no migration has run: `moorage db upgrade`"
    if tables.at in known:
        return f"tables at {tables.at}, code at {head}: `moorage db upgrade`"
    working = f"which work with code at {', '.join(tables.works_with)}" if tables.works_with else "newer than this code"
    return f"tables at {tables.at}, {working}; this code is at {head}: deploy a version that works with them"
