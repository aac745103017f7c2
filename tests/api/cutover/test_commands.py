"""`moorage cutover …` as people and scripts run it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from webapp.cli import moorage
from webapp.cutover.export import RtdbExport
from webapp.cutover.sources import Place
from webapp.db import Database

Export = Callable[..., RtdbExport]
Cutover = Callable[..., Result]


@pytest.fixture
def cutover(environment: dict[str, str], settings: Any, tmp_path: Path) -> Cutover:
    def run(*arguments: str) -> Result:
        source = ["--source", f"rtdb-export:{tmp_path / 'export.json'}"]
        return CliRunner(env=environment).invoke(moorage, ["cutover", arguments[0], *source, *arguments[1:]])

    return run


def test_plan_counts_names_what_stops_and_ends_with_1(export: Export, cutover: Cutover, notes: Place) -> None:
    stray = Place(notes.tenant, "resources/cars")
    content = {notes: {"a": {"n": 1}, "b": {"t": "a\0", "at": 1}, "c": {"n": "x", "l": [None, 1]}}, stray: {"x": {}}}
    export(content)
    result = cutover("plan", "--json", "--quiet")
    assert result.exit_code == 1 and result.stderr.startswith("CUTOVER_STOPPED: ")
    facts = json.loads(result.stdout)
    assert (facts["verdict"], facts["records"]) == ("stop", 3)
    assert facts["collections"] == [
        {"tenant_id": str(notes.tenant), "collection": "workspace/notes", "records": 3, "mapped": 2}
    ]
    found = {(one["finding"], one["fate"], one["field"], one["count"]) for one in facts["findings"]}
    assert found == {
        ("nul", "stops the cutover", "", 1),
        ("holes", "kept as it is", "l", 1),
        ("mixed_types", "kept as it is", "n", 2),
    }
    assert [one["path"] for one in facts["left_out"]["paths"]] == [f"tenants/{stray}"]
    said = cutover("plan")
    assert said.exit_code == 1 and "Stops the cutover:" in said.stdout and "resources/cars" in said.stdout
    assert "3, " in said.stderr and "a second" in said.stderr


def test_plan_of_a_tenant_that_is_not_here_stops(export: Export, cutover: Cutover) -> None:
    export({"0aa51c1c-0000-4000-8000-000000000000/bots": {"b": {}}})
    result = cutover("plan", "--json", "--quiet")
    assert result.exit_code == 1
    assert [one["finding"] for one in json.loads(result.stdout)["findings"]] == ["unknown_tenant"]


def test_a_tenants_allowed_paths_may_hold_plain_secrets(
    export: Export, cutover: Cutover, notes: Place, database: Database
) -> None:
    export({Place(notes.tenant, "bots"): {"b": {"token": "plain"}}})
    refused = cutover("plan", "--json", "--quiet")
    assert refused.exit_code == 1 and "plaintext_secret" in refused.stdout
    adding = "INSERT INTO vaulting_allowances (tenant_id, path, created_by) VALUES (%(t)s, 'records.bots.token', 'me')"
    database.at_once(adding, {"t": str(notes.tenant)}, tenant=notes.tenant)
    assert cutover("plan", "--quiet").exit_code == 0


def test_sync_then_verify_is_a_go_with_both_reports(
    export: Export, cutover: Cutover, notes: Place, tmp_path: Path
) -> None:
    export({notes: {"a": {"n": 1}, "b": {"n": 2}}})
    only = ("--tenant", str(notes.tenant), "--quiet")
    before = cutover("verify", *only)
    assert before.exit_code == 1 and before.stderr.startswith("PARITY_FAILED: ") and "# Parity: NO GO" in before.stdout
    dry = cutover("sync", "--dry-run", *only)
    assert dry.exit_code == 0 and "would be 2 new" in dry.stdout
    done = cutover("sync", "--json", *only)
    assert done.exit_code == 0, done.stderr
    [carried] = json.loads(done.stdout)["collections"]
    assert (carried["read"], carried["inserted"], carried["how"]) == (2, 2, "all")
    after = cutover("verify", "--report", str(tmp_path / "report"), "--json", *only)
    assert after.exit_code == 0 and json.loads(after.stdout)["verdict"] == "go"
    assert "# Parity: GO" in (tmp_path / "report/parity.md").read_text()
    assert json.loads((tmp_path / "report/parity.json").read_text()) == json.loads(after.stdout)


def test_sync_ends_with_1_where_records_were_left_out(export: Export, cutover: Cutover, notes: Place) -> None:
    export({notes: {"a": {"n": 1}, "b": 5}})
    result = cutover("sync", "--quiet")
    assert result.exit_code == 1 and result.stderr.startswith("RECORDS_LEFT_OUT: 1 ") and "1 LEFT OUT" in result.stdout


def test_a_file_that_ends_too_early_is_named_with_its_byte(cutover: Cutover, tmp_path: Path) -> None:
    (tmp_path / "export.json").write_text('{"tenants":{"x"')
    result = cutover("plan")
    assert result.exit_code == 1 and result.stderr.startswith("SOURCE_TRUNCATED: ") and "byte 15" in result.stderr


def test_a_source_of_no_kind_and_one_without_its_settings_are_explained(environment: dict[str, str]) -> None:
    for named, words in (("csv:x", "is no source"), ("rtdb", "RTDB_URL is missing")):
        result = CliRunner(env=environment).invoke(moorage, ["cutover", "plan", "--source", named])
        assert result.exit_code == 1 and result.stderr.startswith("SOURCE_UNREADABLE: ") and words in result.stderr
