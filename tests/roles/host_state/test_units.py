"""Commands and units of `host_state`: they follow the files, are foretold, and made up for after a failure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.roles.host_state.conftest import Bench

from ansible.module_utils.host_state.change import Outcome, StateError  # isort: skip (importable after conftest)

Declare = Callable[..., Outcome]


def service(content: str, **unit: Any) -> dict[str, Any]:
    return {
        "files": [{"path": "conf/main", "content": content}],
        "units": [{"name": "a.service", "enabled": True, "state": "started", "restart_on": ["conf/"], **unit}],
    }


def test_a_unit_is_enabled_and_started_and_then_left_alone(bench: Bench, declare: Declare):
    assert declare(**service("1")).changes[1:] == ["unit a.service: enable", "unit a.service: start"]
    assert bench.told() == ["enable a.service", "start a.service"]
    assert declare(**service("1")).changes == []
    assert bench.told() == []


def test_a_running_unit_is_restarted_when_its_files_change(bench: Bench, declare: Declare):
    declare(**service("1"))
    bench.told()
    foretold = declare(check=True, **service("2"))
    assert bench.told() == []
    assert declare(**service("2")).changes == foretold.changes
    assert bench.told() == ["restart a.service"]


def test_a_reload_is_asked_for_where_a_reload_is_enough(bench: Bench, declare: Declare):
    declare(**service("1"))
    bench.told()
    declare(**service("2", restart_on=[], reload_on=["conf/main"]))
    assert bench.told() == ["reload-or-restart a.service"]


def test_a_stopped_unit_is_not_restarted(bench: Bench, declare: Declare):
    declare(**service("1", state="stopped"))
    bench.told()
    declare(**service("2", state="stopped"))
    assert bench.told() == []


def test_a_new_unit_file_is_read_once():
    from ansible.module_utils.host_state import units
    from ansible.module_utils.host_state.spec import parse

    spec = parse({"units": [{"name": "a.service"}]})
    assert units.promises(spec.units, ["/etc/systemd/system/a.service", "/etc/systemd/system/b.service"]) == {
        "daemon-reload"
    }


def test_a_restart_that_was_owed_is_made_by_the_next_run(bench: Bench, declare: Declare):
    declare(**service("1"))
    bench.told()
    (bench.units / "a.service.broken").touch()
    with pytest.raises(StateError, match=r"units\[0\] \(a.service\): cannot restart"):
        declare(**service("2"))
    assert json.loads((bench.state / "pending.json").read_text()) == ["restart a.service"]

    (bench.units / "a.service.broken").unlink()
    assert declare(check=True, **service("2")).changes == ["unit a.service: restart"]
    assert declare(**service("2")).changes == ["unit a.service: restart"]
    assert not (bench.state / "pending.json").exists()
    assert declare(**service("2")).changes == []


def test_a_run_that_was_owed_something_else_leaves_it_owed(bench: Bench, declare: Declare):
    (bench.state).mkdir()
    (bench.state / "pending.json").write_text('["restart other.service"]')
    declare(**service("1"))
    assert json.loads((bench.state / "pending.json").read_text()) == ["restart other.service"]


def command(content: str, **more: Any) -> dict[str, Any]:
    return {
        "files": [{"path": "x", "content": content}],
        "commands": [{"run": ["sh", "-c", "test ! -e broken && echo ran >> log"], "run_on": ["x"], **more}],
    }


def test_a_command_runs_when_its_file_changed(bench: Bench, declare: Declare, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(bench.folder)
    for content, runs in (("1", 1), ("1", 1), ("2", 2)):
        declare(**command(content))
        assert len((bench.folder / "log").read_text().splitlines()) == runs


def test_a_command_that_failed_is_run_again(bench: Bench, declare: Declare, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(bench.folder)
    (bench.folder / "broken").touch()
    with pytest.raises(StateError, match=r"commands\[0\]"):
        declare(**command("1"))
    (bench.folder / "broken").unlink()
    assert len(declare(**command("1")).changes) == 1
    assert declare(**command("1")).changes == []


def test_a_command_runs_unless_the_question_is_answered_with_yes(bench: Bench, declare: Declare):
    entry = {"run": ["touch", str(bench.folder / "made")], "unless": ["test", "-e", str(bench.folder / "made")]}
    assert len(declare(check=True, commands=[entry]).changes) == 1
    assert len(declare(commands=[entry]).changes) == 1
    assert declare(commands=[entry]).changes == []


def test_a_damaged_memory_is_named(bench: Bench, declare: Declare):
    bench.state.mkdir()
    (bench.state / "pending.json").write_text("{")
    with pytest.raises(StateError, match=r"pending\.json is damaged"):
        declare(files=[])
