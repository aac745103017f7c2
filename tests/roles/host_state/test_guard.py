"""The dead man's switch: armed before the first change, and everything as it was when it fires."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.roles.host_state.conftest import Bench

from ansible.module_utils.host_state.change import StateError  # isort: skip (importable after conftest)

FILES = [{"path": "conf", "content": "new"}, {"path": "fresh", "content": "new"}]


def guarded(bench: Bench, **more: Any) -> dict[str, Any]:
    guard = {
        "name": "test",
        "seconds": 7,
        "save": [f"cp {bench.root}/conf saved"],
        "undo": [f"cat saved > {bench.folder}/undone"],
    }
    return {"files": FILES, "guard": guard, **more}


@pytest.fixture(autouse=True)
def timer(bench: Bench) -> Path:
    """A systemd-run that only writes down what it was asked for, and the state of the file at that moment."""
    log, program = bench.folder / "timer", bench.folder / "bin/systemd-run"
    program.write_text(f'#!/bin/sh\necho "$@" > {log}\ncat {bench.root}/conf >> {log}\n')
    program.chmod(0o755)
    (bench.root / "conf").write_text("old")
    (bench.root / "conf").chmod(0o640)
    return log


def restore(bench: Bench) -> int:
    return subprocess.run(["/bin/sh", bench.state / "lockout/test/restore"], check=False).returncode


def test_the_timer_is_set_before_anything_changes(bench: Bench, timer: Path):
    outcome = bench.declare(**guarded(bench))
    assert outcome.guard == "armed"
    asked, content = timer.read_text().splitlines()
    assert "--on-active=7s" in asked and content == "old"
    assert (bench.root / "conf").read_text() == "new"


def test_it_takes_back_contents_modes_and_new_files(bench: Bench):
    before = bench.tree()
    bench.declare(**guarded(bench))
    assert restore(bench) == 0
    assert bench.tree() == before
    assert (bench.folder / "undone").read_text() == "old"
    assert (bench.state / "lockout/test/restored").exists()


def test_it_fires_once(bench: Bench):
    bench.declare(**guarded(bench))
    restore(bench)
    (bench.root / "conf").write_text("later")
    assert restore(bench) == 0
    assert (bench.root / "conf").read_text() == "later"


def test_a_failed_undo_is_told(bench: Bench):
    declared = guarded(bench)
    declared["guard"]["undo"] = ["false"]
    bench.declare(**declared)
    assert restore(bench) == 1
    assert (bench.state / "lockout/test/failed").exists()


def test_nothing_to_change_arms_nothing(bench: Bench, timer: Path):
    bench.declare(files=FILES)
    assert bench.declare(**guarded(bench)).guard is None
    assert not timer.exists()


def test_a_check_arms_nothing(bench: Bench, timer: Path):
    assert bench.declare(check=True, **guarded(bench)).guard is None
    assert not timer.exists() and not bench.state.exists()


def test_a_guard_left_armed_by_a_dead_controller_is_still_to_be_proved(bench: Bench):
    before = bench.tree()
    bench.declare(**guarded(bench))
    again = bench.declare(**guarded(bench))
    assert (again.changes, again.guard) == ([], "armed")
    restore(bench)
    assert bench.tree() == before


def test_without_a_timer_nothing_is_changed(bench: Bench):
    (bench.folder / "bin/systemd-run").write_text("#!/bin/sh\nexit 1\n")
    before = bench.tree()
    with pytest.raises(StateError, match="timer cannot be set"):
        bench.declare(**guarded(bench))
    assert bench.tree() == before
    assert not (bench.state / "lockout/test/armed").exists()
