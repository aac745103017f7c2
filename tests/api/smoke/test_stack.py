"""`moorage smoke stack` finds what it should, and says which part it was."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from tests.api.relay import Relay
from webapp.cli import moorage
from webapp.database.heads import head
from webapp.settings import Settings

Run = Callable[..., Result]


@pytest.fixture
def run(relayed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, value in relayed.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(moorage, ["smoke", "stack", *arguments])


def failed(result: Result) -> dict[str, str]:
    assert result.exit_code == 1 and result.stderr.startswith("SMOKE_FAILED: ")
    assert "Traceback" not in result.output
    return {item["what"]: item["detail"] for item in json.loads(result.stdout) if not item["ok"]}


def test_a_stack_that_is_well(run: Run, settings: Settings) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"ok     query as {settings.database_url.user}"
    assert lines[1] == f"ok     revision tables at {head()}, code at {head()}"
    assert [line.split()[1] for line in lines[2:]] == ["put", "stat", "get", "anonymous", "delete"]
    assert [item["ok"] for item in json.loads(run("--json").stdout)] == [True] * 7


@pytest.mark.parametrize("fault", ["stop", "hang"])
def test_a_database_that_is_gone_and_a_store_that_is_not(run: Run, relays: tuple[Relay, Relay], fault: str) -> None:
    getattr(relays[0], fault)()
    result = run("--json")
    assert set(failed(result)) == {"query"}
    assert sum(item["ok"] for item in json.loads(result.stdout)) == 5


@pytest.mark.parametrize("fault", ["stop", "hang"])
def test_a_store_that_is_gone(run: Run, relays: tuple[Relay, Relay], fault: str) -> None:
    getattr(relays[1], fault)()
    assert set(failed(run("--json"))) == {"object store"}


def test_a_role_that_row_level_security_does_not_bind(
    run: Run, environment: dict[str, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.database_admin_url is not None
    monkeypatch.setenv("DATABASE_URL", settings.database_admin_url.render(database=settings.database_url.name))
    assert "row level security does not bind" in failed(run("--json"))["query"]


def test_a_key_that_the_store_does_not_know(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "another-key-altogether-0")
    found = failed(run("--json"))
    assert set(found) == {"object store"} and "another-key" not in run().output
