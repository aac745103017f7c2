"""Older and newer versions at the same tables, and migrations that cannot have their lock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import psycopg2
import pytest
from click.testing import CliRunner, Result

from webapp.cli import moorage
from webapp.database import migrations, setup_commands
from webapp.database.compatibility import READ, Tables
from webapp.database.locks import MigrationLocked
from webapp.db import engine_for
from webapp.health.checks import DatabaseCheck, TablesUnfit
from webapp.settings import Settings

Code = Callable[..., None]

pytestmark = pytest.mark.usefixtures("code")

EXPAND = ("0003", "0001", "ALTER TABLE tenants ADD COLUMN motto text")
CONTRACT = ("0004", "0003", "ALTER TABLE tenants DROP COLUMN created_at")


def upgrade(settings: Settings, **options: str) -> migrations.Upgraded:
    return migrations.upgrade(migrations.owner_url(settings), application=settings.database_url.user, **options)


def tables(settings: Settings) -> Tables:
    """As the application's role reads them."""
    with closing(psycopg2.connect(settings.database_url.render())) as connection, connection.cursor() as cursor:
        cursor.execute(READ)
        row = cursor.fetchone()
        assert row is not None
        return Tables.read(*row)


def as_owner(settings: Settings, statement: str) -> None:
    with closing(psycopg2.connect(migrations.owner_url(settings).render())) as connection, connection:
        connection.cursor().execute(statement)


def ready(settings: Settings) -> str:
    """Why readiness is down; nothing where it is up."""
    check = DatabaseCheck(engine_for(settings.database_url, pool_size=0), 2)
    try:
        check()
    except TablesUnfit as reason:
        return str(reason)
    return ""


@pytest.fixture
def run(empty: Settings, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    variables = {"DATABASE_URL": empty.database_url, "DATABASE_OWNER_URL": migrations.owner_url(empty)}
    for name, value in (environment | {name: url.render() for name, url in variables.items()}).items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(moorage, arguments)


def test_the_database_says_who_works_with_it(empty: Settings) -> None:
    upgrade(empty, target="0001")
    assert tables(empty) == Tables("0001", ("0001",))
    upgrade(empty)
    assert tables(empty) == Tables("0002", ("0001", "0002"))
    migrations.downgrade(migrations.owner_url(empty), target="0001")
    assert tables(empty) == Tables("0001", ("0001",))


def test_tables_from_before_there_were_comments_get_theirs(empty: Settings) -> None:
    upgrade(empty)
    as_owner(empty, "COMMENT ON TABLE alembic_version IS NULL")
    done = upgrade(empty)
    assert done.changed and done.words == "changed"
    assert tables(empty) == Tables("0002", ("0001", "0002"))
    assert not upgrade(empty).changed


def test_code_a_version_back_works_after_an_expansion_and_leaves_the_tables(empty: Settings, code: Code) -> None:
    code(add=[EXPAND])
    upgrade(empty)
    assert ready(empty) == ""
    code()
    assert ready(empty) == ""
    done = upgrade(empty)
    assert (done.changed, done.ahead, done.at) == (False, True, "0003")
    assert done.words == "unchanged: tables at 0003, newer than this version (0002), which works with them"
    assert tables(empty) == Tables("0003", ("0001", "0002", "0003"))


def test_code_from_before_a_contraction_is_refused_with_both_versions(
    empty: Settings, code: Code, run: Callable[..., Result]
) -> None:
    code(add=[EXPAND, CONTRACT])
    upgrade(empty)
    code()
    reason = "tables at 0004, which work with code at 0003, 0004; this code is at 0002"
    assert reason in ready(empty)
    for command in (["db", "upgrade"], ["setup"]):
        refused = run(*command)
        assert refused.exit_code == 1 and refused.stdout == ""
        assert refused.stderr.startswith("TABLES_TOO_NEW: ") and reason in refused.stderr
        assert "restore the dump" in refused.stderr and "Traceback" not in refused.output
    assert tables(empty) == Tables("0004", ("0003", "0004"))


def test_setup_of_code_a_version_back_says_that_it_left_the_tables(
    empty: Settings, code: Code, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    code(add=[EXPAND])
    upgrade(empty)
    code()
    # The two migrations of this code make no table of records.
    steps = {name: step for name, step in setup_commands.STEPS.items() if name != "records"}
    monkeypatch.setattr(setup_commands, "STEPS", steps)
    result = run("setup", "--json")
    said = json.loads(result.stdout)
    assert said["changed"] is False and "tables at 0003, newer than this version" in said["steps"]["migrations"]


def test_newer_tables_that_do_not_say_whom_they_work_with_are_refused(empty: Settings, code: Code) -> None:
    code(add=[EXPAND])
    upgrade(empty)
    code()
    for comment in ("NULL", "'something else'", "'[1]'"):
        as_owner(empty, f"COMMENT ON TABLE alembic_version IS {comment}")
        assert "newer than this code" in ready(empty)
        with pytest.raises(migrations.TablesTooNew):
            upgrade(empty)


def test_older_tables_want_a_migration(empty: Settings, run: Callable[..., Result]) -> None:
    assert ready(empty) == "no migration has run: `moorage db upgrade`"
    upgrade(empty, target="0001")
    assert ready(empty) == "tables at 0001, code at 0002: `moorage db upgrade`"
    said = json.loads(run("db", "current", "--json").stdout)
    assert (said["at"], said["head"], said["works"], said["works_with"]) == ("0001", "0002", False, ["0001"])


@contextmanager
def held(settings: Settings, statement: str) -> Iterator[None]:
    """A transaction that has run this and does not end."""
    with closing(psycopg2.connect(settings.database_url.render(), application_name="a-long-report")) as other:
        other.cursor().execute(statement)
        yield


def test_a_migration_that_cannot_have_its_lock_gives_up_and_says_who_holds_it(
    empty: Settings, code: Code, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "300ms")
    code(add=[("0003", "0001", "CREATE TABLE notes (id int)"), ("0004", "0001", "ALTER TABLE tenants ADD x int")])
    upgrade(empty, target="0002")
    with held(empty, "SELECT 1 FROM tenants"):  # a reader is enough
        began = time.monotonic()
        failed = run("db", "upgrade")
        assert time.monotonic() - began < 3
    assert failed.exit_code == 1 and failed.stderr.startswith("MIGRATION_LOCKED: Waited 300ms for a lock")
    assert "ALTER TABLE tenants ADD x int" in failed.stderr
    assert "Held now: tenants by a-long-report (process " in failed.stderr
    assert "Traceback" not in failed.output
    assert tables(empty) == Tables("0003", ("0001", "0002", "0003")), "those before it are done, it is not"

    assert upgrade(empty).changed
    assert tables(empty).at == "0004"


def test_a_migration_that_fails_leaves_nothing_of_itself(
    empty: Settings, code: Code, run: Callable[..., Result]
) -> None:
    code(add=[("0003", "0001", "CREATE TABLE notes (id int); SELECT 1/0")])
    failed = run("db", "upgrade")
    assert failed.exit_code == 1 and failed.stderr.startswith("DATABASE_ERROR: division by zero")
    assert tables(empty) == Tables("0002", ("0001", "0002"))
    as_owner(empty, "CREATE TABLE notes (id int)")  # it is not there


def test_two_at_once_take_turns_but_none_waits_for_one_that_hangs(
    empty: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "TURN_SECONDS", 0.3)
    with (
        held(empty, "SELECT pg_advisory_lock(1836019571)"),
        pytest.raises(MigrationLocked, match="Held now: the turn to migrate by a-long-report"),
    ):
        upgrade(empty)
    assert upgrade(empty).changed


def test_an_index_may_be_made_outside_the_migrations_transaction(empty: Settings, code: Code) -> None:
    code(add=[("0003", "0001", "CREATE INDEX CONCURRENTLY ix_tenants_name ON tenants (name)")])
    upgrade(empty, target="0002")
    assert upgrade(empty).changed
    assert tables(empty) == Tables("0003", ("0001", "0002", "0003"))
    as_owner(empty, "DROP INDEX ix_tenants_name")


def test_one_that_waits_for_its_turn_is_not_in_the_way_of_an_index_that_is_built(empty: Settings, code: Code) -> None:
    """Building one concurrently waits for the end of every statement that began before."""
    code(add=[("0003", "0001", "CREATE INDEX CONCURRENTLY ix_tenants_name ON tenants (name)")])
    upgrade(empty, target="0002")
    with ThreadPoolExecutor() as both:
        with held(empty, "SELECT pg_advisory_lock(1836019571)"):
            runs = [both.submit(upgrade, empty) for _ in range(2)]
            time.sleep(1)  # both have asked
        assert sorted(run.result(timeout=30).changed for run in runs) == [False, True]
    assert tables(empty).at == "0003"
    as_owner(empty, "DROP INDEX ix_tenants_name")
