"""The chain as the files state it: it is Alembic's own, and every migration says who still works after it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from webapp.database import heads
from webapp.database.heads import Revision, works_with
from webapp.settings import CHECKOUT


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    heads.chain.cache_clear()
    yield
    heads.chain.cache_clear()


def test_it_is_alembics() -> None:
    config = Config()
    config.set_main_option("script_location", str(heads.VERSIONS.parent))
    config.set_main_option("path_separator", "os")
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())[::-1]
    assert [(one.revision, one.down_revision) for one in scripts] == [(one.id, one.below) for one in heads.chain()]
    assert scripts[-1].revision == heads.head()


def test_every_migration_states_the_oldest_version_that_works_after_it() -> None:
    """`chain` refuses a migration that states none, or one that is not its own or an earlier revision."""
    ids = [revision.id for revision in heads.chain()]
    for place, revision in enumerate(heads.chain()):
        assert revision.works_with in ids[: place + 1], revision


def migration(revision: str, below: str | None, oldest: str | None) -> str:
    stated = f'revision = "{revision}"\ndown_revision = {below!r}\n'
    return stated + (f'works_with = "{oldest}"\n' if oldest else "")


ONE = migration("1", None, "1")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "one head"),
        ([ONE, migration("2", None, "2")], "one head"),
        ([ONE, migration("2", "1", "1"), migration("3", "1", "1")], "one head"),
        ([ONE, migration("3", "2", "1")], "one head"),
        ([ONE, migration("2", "1", None)], "0002_x.py does not state 'works_with'"),
        ([ONE, migration("2", "1", "3"), migration("3", "2", "1")], "works with 3, which is none before it"),
    ],
    ids=["none", "two roots", "two heads", "a gap", "silent", "a later one"],
)
def test_what_makes_no_line_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], words: str
) -> None:
    for number, text in enumerate(files, 1):
        (tmp_path / f"{number:04}_x.py").write_text(text)
    monkeypatch.setattr(heads, "VERSIONS", tmp_path)
    with pytest.raises(RuntimeError, match=words):
        heads.chain()


LINE = tuple(
    Revision(name, below, oldest)
    for name, below, oldest in [("1", None, "1"), ("2", "1", "1"), ("3", "2", "2"), ("4", "3", "1"), ("5", "4", "5")]
)


@pytest.mark.parametrize(
    ("at", "working"),
    [
        ("1", ["1"]),
        ("2", ["1", "2"]),
        ("3", ["2", "3"]),
        ("4", ["2", "3", "4"]),  # what the third took away, the fourth does not bring back
        ("5", ["5"]),
    ],
)
def test_who_works_with_the_tables_at_a_revision(at: str, working: list[str]) -> None:
    assert works_with(at, LINE) == working


def test_db_schema_prints_the_chain_without_settings_and_without_loading_much() -> None:
    began = time.monotonic()
    command = [sys.executable, "-X", "importtime", "-m", "webapp", "db", "schema", "--json"]
    done = subprocess.run(command, cwd=CHECKOUT, env={}, capture_output=True, text=True, check=True)
    assert time.monotonic() - began < 5
    said = json.loads(done.stdout)
    assert said["head"] == heads.head()
    assert said["revisions"] == [{"id": one.id, "works_with": one.works_with} for one in heads.chain()]
    loaded = {line.split("|")[-1].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not loaded & {"alembic", "sqlalchemy", "flask", "psycopg2", "minio"}, "a deploy waits for this"
