"""What each migration sends to PostgreSQL, statement by statement, and which line of its file sends it."""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from webapp.database import heads

# Beside the statement: at the end of its first line, or in the comment right above it.
IGNORE = re.compile(r"#\s*squawk-ignore\s+(?P<rules>[\w-]+(?:,\s*[\w-]+)*)(?:\s+-\s+(?P<reason>\S.*))?")


class NotRendered(Exception):
    """A migration's SQL cannot be known without a database; the text says which migration, why, and what to do."""


@dataclass(frozen=True)
class Statement:
    """What one call sends (several statements, where it sends a script), and the line of the call."""

    sql: str
    line: int


@dataclass(frozen=True)
class Exempted:
    """A rule that a line is excepted from. `reason` is empty where none is stated."""

    rule: str
    reason: str
    line: int


@dataclass(frozen=True)
class Migration:
    """One migration. `contracts`: it shuts out code that worked on the tables before it, and says so."""

    path: Path
    contracts: bool
    statements: tuple[Statement, ...]

    def exceptions(self) -> list[Exempted]:
        """What the file excepts, each with the line of code that it stands beside."""
        found = []
        lines = self.path.read_text().splitlines()
        for number, text in enumerate(lines, 1):
            if (match := IGNORE.search(text)) is None:
                continue
            beside = number
            while beside <= len(lines) and lines[beside - 1].lstrip().startswith("#"):
                beside += 1
            rules = [rule.strip() for rule in match["rules"].split(",")]
            found += [Exempted(rule, match["reason"] or "", beside) for rule in rules]
        return found


def rendered(folder: Path) -> list[Migration]:
    """Every migration of a folder, the first one first.

    Raises NotRendered; RuntimeError where the migrations make no line (webapp.database.heads).
    """
    modules = [(path, _load(path)) for path in sorted(folder.glob("[0-9]*.py"))]
    by_revision = {module.revision: (path, module) for path, module in modules}
    line = heads.read(folder)
    found = []
    for place, revision in enumerate(line):
        path, module = by_revision[revision.id]
        before = heads.works_with(line[place - 1].id, line)[0] if place else revision.id
        oldest = heads.works_with(revision.id, line)[0]
        found.append(Migration(path, oldest != before, tuple(_statements(path, module))))
    return found


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"linted_{path.stem}", path)
    assert spec and spec.loader  # noqa: S101 - a path that ends in .py has both
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _statements(path: Path, module: ModuleType) -> list[Statement]:
    said = _Said(str(path))
    # Alembic's offline mode, one migration at a time and without env.py, which wants a connection.
    options = {"as_sql": True, "literal_binds": True, "output_buffer": said}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    context.impl.connection = _NoDatabase(said)  # type: ignore[assignment]  # only what is sent without an answer
    try:
        # BEGIN and COMMIT are rendered as well, so that what runs outside of a transaction is seen to.
        with context.begin_transaction(), Operations.context(context):
            module.upgrade()
    except Exception as error:
        raise NotRendered(
            f"{path.name} gives no SQL without a database ({error}). What a migration does must not depend on what it "
            "finds: state it by `op.execute` or another operation of Alembic's; moving rows is a job, not a migration."
        ) from error
    return said.statements


@dataclass
class _Said:
    """What Alembic writes its SQL to."""

    file: str
    statements: list[Statement] = field(default_factory=list)

    def write(self, sql: str) -> None:
        frame: Any = sys._getframe()
        while frame is not None and frame.f_code.co_filename != self.file:
            frame = frame.f_back
        self.statements.append(Statement(sql.strip(), frame.f_lineno if frame else 0))

    def flush(self) -> None:
        """Nothing is kept back."""


@dataclass
class _NoDatabase:
    """What `op.get_bind()` gives: scripts can be sent as they stand, nothing can be asked."""

    said: _Said

    def exec_driver_sql(self, statement: str, **_: object) -> None:
        self.said.write(statement.strip().removesuffix(";") + ";")
