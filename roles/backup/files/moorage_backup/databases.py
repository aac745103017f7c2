"""Questions to a PostgreSQL server, and statements, through psql: a program of exactly its version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from moorage_backup.running import run


def ask(query: str, environment: Mapping[str, str], database: str = "postgres", *, seconds: float = 60) -> Any:
    """The one JSON value that a query returns.

    Raises:
        CommandFailed: with the server's words.
    """
    words = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", query]
    return json.loads(run(words, env=environment, seconds=seconds) or "null")


def tell(statements: str, environment: Mapping[str, str], database: str = "postgres") -> None:
    """Run statements, each committed by itself unless they say otherwise.

    Raises:
        CommandFailed: with the server's words; what was before the failing one stays.
    """
    run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-"], env=environment, given=statements)


def quoted(name: str) -> str:
    """An identifier as SQL wants it. Pure."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL wants it, whatever `standard_conforming_strings` says. Pure."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"
