"""What is wrong with migrations: squawk's findings and a few of our own, less what is answered for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from linting.rendering import Migration, Statement

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / ".squawk.toml"
# What a migration takes from code that runs or is gone back to. One that raises `works_with` has said who loses it.
ANSWERED_BY_WORKS_WITH = frozenset(
    {
        *("ban-drop-column", "ban-drop-table", "ban-drop-view", "ban-drop-type", "ban-drop-function"),
        *("ban-drop-constraint", "ban-drop-default", "ban-drop-policy", "ban-drop-trigger", "ban-revoke"),
        *("ban-new-write-restriction", "renaming-column", "renaming-object", "renaming-table"),
    }
)

_NAME = r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?:ONLY\s+)?(?P<table>[\w.\"]+)"
# What squawk has no rule for. A table that the migration itself makes is left alone by each that names one.
OURS = {
    "lock-table": (rf"LOCK\s+(?:TABLE\s+)?{_NAME}", "A lock that is asked for is held until the migration's end."),
    "timeout-changed": (
        r"(?:SET|RESET)\s+(?:LOCAL\s+|SESSION\s+)?(?:lock_timeout|ALL)\b",
        "Whoever runs migrations sets lock_timeout: requests would queue behind a migration that waits.",
    ),
    "rewrite": (
        rf"ALTER\s+TABLE\s+{_NAME}\s[^;]*?(?:\bSET\s+(?:(?:UN)?LOGGED|TABLESPACE|ACCESS\s+METHOD)"
        rf"|\bADD\s+(?:COLUMN\s+)?(?:IF\s+NOT\s+EXISTS\s+)?[\w\"]+\s+(?:SMALL|BIG)?SERIAL)\b",
        "The table is written anew, and nobody reads it meanwhile.",
    ),
    "cluster": (rf"CLUSTER\s+{_NAME}", "The table is written anew, and nobody reads it meanwhile."),
    "backfill": (
        rf"(?:UPDATE|DELETE\s+FROM|MERGE\s+INTO|INSERT\s+INTO(?=[^;]*\bSELECT\b))\s+{_NAME}",
        "Rows that change stay locked until the migration's end, which takes the longer the more there are: a job "
        "moves them in batches.",
    ),
    "hidden": (r"DO\b", "What a DO block does is not looked into: state it as statements."),
}
_OURS = {rule: re.compile(rf"\A{pattern}", re.IGNORECASE) for rule, (pattern, _) in OURS.items()}
_MADE = re.compile(r"\ACREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?!IF\b)(?P<table>[\w.\"]+)", re.IGNORECASE)
# An index that was not built to its end stays, and is used by nobody; IF NOT EXISTS then takes it for the real one.
LEFT_INVALID = "index-left-invalid"
_LEFT_INVALID = (
    "A run that was cut off leaves an invalid index: begin with DROP INDEX CONCURRENTLY IF EXISTS of its name."
)
_BUILT = re.compile(
    r"\ACREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<index>[\w.\"]+)", re.IGNORECASE
)
_CLEARED = re.compile(r"\ADROP\s+INDEX\s+CONCURRENTLY\s+IF\s+EXISTS\s+(?P<index>[\w.\"]+)", re.IGNORECASE)
_ALTERED = re.compile(rf"\AALTER\s+TABLE\s+{_NAME}", re.IGNORECASE)
_ONLY_NEW_COLUMNS = re.compile(r"\s+ADD\s+COLUMN\b(?!.*(?:\bADD\s+CONSTRAINT|\bALTER)\b)", re.IGNORECASE | re.DOTALL)
# Bodies of functions, texts, comments: what stands in them is not run now.
_TEXT = re.compile(r"(\$\w*\$).*?\1|'(?:[^']|'')*'|(?P<comment>--[^\n]*|/\*.*?\*/)", re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """One danger: a rule's name (squawk's, or one of ours) and the line of the migration."""

    file: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.message}"


class SquawkFailed(Exception):
    """squawk did not say what it found; the text says what it said."""


def findings(migrations: list[Migration]) -> list[Finding]:
    """All that is dangerous and neither excepted nor answered for by `works_with`, in the order of the lines.

    An exception without a reason, or for nothing, is a finding too. Raises SquawkFailed.
    """
    found: list[Finding] = []
    by_squawk = _squawk(migrations)
    for migration in migrations:
        # What one line breaks twice is said once.
        raised = {(one.line, one.rule): one for one in (*by_squawk[migration.path.stem], *_ours(migration))}
        excepted = {(one.line, one.rule) for one in migration.exceptions()}
        answered = ANSWERED_BY_WORKS_WITH if migration.contracts else frozenset()
        found += [raised[place] for place in sorted(raised.keys() - excepted) if place[1] not in answered]
        found += _idle(migration, raised.keys())
    return found


def _idle(migration: Migration, raised: Set[tuple[int, str]]) -> Iterator[Finding]:
    for one in migration.exceptions():
        if not one.reason:
            yield Finding(
                migration.path.name, one.line, "no-reason", f"`# squawk-ignore {one.rule} - <why it is no danger here>`"
            )
        if (one.line, one.rule) not in raised:
            yield Finding(migration.path.name, one.line, "idle", f"{one.rule} is excepted, and was not found here.")


def _ours(migration: Migration) -> Iterator[Finding]:
    cleared = set()
    for statement, text, made in _single(migration):
        if match := _CLEARED.match(text):
            cleared.add(match["index"])
        if (match := _BUILT.match(text)) and match["index"] not in cleared:
            yield Finding(migration.path.name, statement.line, LEFT_INVALID, _LEFT_INVALID)
        for rule, pattern in _OURS.items():
            if (match := pattern.match(text)) and match.groupdict().get("table") not in made:
                yield Finding(migration.path.name, statement.line, rule, OURS[rule][1])


def _single(migration: Migration) -> Iterator[tuple[Statement, str, frozenset[str]]]:
    """Each statement of a script by itself, without texts and comments; and the tables made before it."""
    made: frozenset[str] = frozenset()
    for statement in migration.statements:
        for sql in _TEXT.sub(lambda text: " " if text["comment"] else "''", statement.sql).split(";"):
            yield statement, (text := sql.strip()), made
            if match := _MADE.match(text):
                made |= {match["table"]}


def _harmless(migration: Migration) -> set[tuple[Statement, str | None]]:
    """What squawk need not say: a statement with a rule, or with None for every rule. Nothing of scripts."""
    single = [one for one in _single(migration) if one[1]]
    scripts = Counter(statement for statement, _, _ in single)
    found: set[tuple[Statement, str | None]] = set()
    for statement, text, made in single:
        altered = _ALTERED.match(text)
        if altered is None or scripts[statement] > 1:
            continue
        if altered["table"] in made:
            # squawk knows of most that a new table has no rows, but not of each.
            found.add((statement, None))
        elif _ONLY_NEW_COLUMNS.match(text[altered.end() :]):
            # Older code does not write a column that it does not know; NOT NULL without a default is another rule's.
            found.add((statement, "ban-new-write-restriction"))
    return found


def _squawk(migrations: list[Migration]) -> dict[str, list[Finding]]:
    """squawk's findings, by the migration's file name without its ending."""
    found: dict[str, list[Finding]] = {migration.path.stem: [] for migration in migrations}
    starts: dict[str, dict[int, Statement]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for migration in migrations:
            starts[migration.path.stem] = _write(migration, Path(folder) / f"{migration.path.stem}.sql")
        installed = Path(sys.executable).with_name("squawk")  # also where the environment is not on the path
        program = str(installed) if installed.exists() else "squawk"
        command = [program, "--config", str(CONFIGURATION), "--reporter", "json", *(f"{name}.sql" for name in found)]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise SquawkFailed("squawk is not installed: install tests/requirements.txt into .venv.") from None
    try:
        said = json.loads(done.stdout)
    except ValueError:
        raise SquawkFailed(f"squawk ended with {done.returncode}: {done.stderr or done.stdout}") from None
    harmless = {migration.path.stem: _harmless(migration) for migration in migrations}
    for one in said:
        name, rule = Path(one["file"]).stem, one["rule_name"]
        statement = starts[name][max(line for line in starts[name] if line <= one["line"])]
        if not harmless[name] & {(statement, None), (statement, rule)}:
            message = " ".join(filter(None, (one["message"], one["help"])))
            found[name].append(Finding(f"{name}.py", statement.line, rule, message))
    return found


def _write(migration: Migration, path: Path) -> dict[int, Statement]:
    """Write a migration's SQL, and tell on which line (from 0, as squawk counts) each statement begins."""
    starts: dict[int, Statement] = {}
    lines: list[str] = []
    for statement in migration.statements:
        starts[len(lines)] = statement
        lines += statement.sql.splitlines()
    path.write_text("\n".join(lines) + "\n")
    return starts
