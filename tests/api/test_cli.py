"""The command line: data on stdout, errors with their code on stderr, 0 only on success."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from uuid import UUID

import psycopg2
import pytest
from click.testing import CliRunner, Result

from webapp.cli import Rooms, moorage
from webapp.settings import CHECKOUT, Settings, inherited


def invoke(run: CliRunner, *arguments: str) -> Result:
    return run.invoke(moorage, arguments)


def test_every_command_explains_itself() -> None:
    for name in Rooms.ROOMS:
        result = CliRunner().invoke(moorage, [name, "--help"])
        assert result.exit_code == 0 and result.output.startswith("Usage:"), name


def test_flask_knows_the_same_commands(settings: Settings, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "flask", "--app", "webapp", "db", "current", "--json"]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=inherited(**environment), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["at_head"] is True


@pytest.fixture
def unsaid(settings: Settings) -> Iterator[None]:
    """The first `setup` says which store leads records; other tests have theirs led otherwise."""
    yield
    assert settings.database_owner_url is not None
    with closing(psycopg2.connect(settings.database_owner_url.render())) as connection, connection:
        connection.cursor().execute("UPDATE record_gate SET leader = NULL")


@pytest.mark.usefixtures("unsaid")
def test_setup_says_for_each_step_whether_it_changed_anything(run: CliRunner) -> None:
    assert "records: changed" in invoke(run, "setup").stdout
    result = invoke(run, "setup", "--json")
    assert json.loads(result.stdout) == {
        "changed": False,
        "steps": {"roles": "unchanged", "migrations": "unchanged", "records": "unchanged", "store": "unchanged"},
    }
    assert invoke(run, "setup").stdout.splitlines() == [
        "roles: unchanged",
        "migrations: unchanged",
        "records: unchanged",
        "store: unchanged",
    ]


def test_setup_without_the_administrator_leaves_the_roles(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_ADMIN_URL")
    assert json.loads(invoke(run, "setup", "--json").stdout)["steps"]["roles"] == "skipped"
    refused = invoke(run, "db", "roles")
    assert refused.exit_code == 1 and "DATABASE_ADMIN_URL is missing" in refused.stderr


@pytest.mark.parametrize("command", [["db", "upgrade"], ["db", "roles"], ["store", "prepare"]])
def test_what_is_as_it_should_be_is_unchanged(run: CliRunner, command: list[str]) -> None:
    assert json.loads(invoke(run, *command, "--json").stdout)["changed"] is False
    assert invoke(run, *command).stdout.startswith("unchanged")


def test_store_check_prints_what_it_saw(run: CliRunner) -> None:
    result = invoke(run, "store", "check")
    assert result.exit_code == 0 and result.stdout.count("ok ") == 5


def test_tenant_create_prints_the_id(run: CliRunner) -> None:
    assert UUID(invoke(run, "tenant", "create", "Acme").stdout.strip())
    made = json.loads(invoke(run, "tenant", "create", "Acme", "--json").stdout)
    assert UUID(made["id"]) and made["name"] == "Acme"


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\nb"])
def test_a_tenant_needs_a_name(run: CliRunner, name: str) -> None:
    result = invoke(run, "tenant", "create", name)
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr.startswith("VALIDATION_ERROR: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["token", "issue", "--tenant", "x", "--user", "a", "--role", "root"], "'--tenant'"),
        (["tenant", "create"], "Missing argument 'NAME'"),
        (["license", "grant", "--tenant", "7f9c24e8-3b12-4fef-91e0-5d6a8c0b4e21", "--type", "subscription"], "--until"),
        (["nonsense"], "No such command 'nonsense'"),
        (["--nonsense"], "No such option"),
        (["secret", "seal", "--label", "x"], "--public-key"),
    ],
)
def test_a_command_that_is_typed_wrong_says_so_with_a_code(run: CliRunner, words: list[str], said: str) -> None:
    result = invoke(run, *words)
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("Usage: ") and said in result.stderr.rpartition("USAGE_ERROR: ")[2]


def test_a_bad_setting_is_one_line_with_its_name(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT", "s3.example.test")
    result = invoke(run, "setup")
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr.startswith("SETTINGS_INVALID: S3_ENDPOINT must be")


def test_a_database_that_is_down_is_said_without_a_trace(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:hunter2hunter2@127.0.0.1:1/moorage")
    result = invoke(run, "tenant", "create", "Acme")
    assert result.exit_code == 1 and result.stderr.startswith("DATABASE_ERROR: ")
    assert "Traceback" not in result.output and "hunter2" not in result.output
