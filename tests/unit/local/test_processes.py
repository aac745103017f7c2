"""Processes on record: found again, told apart from strangers, ended."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from webapp.local.processes import start, stop_orphans

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-uc",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)",
]


def test_what_was_left_behind_is_found_and_stopped(tmp_path: Path) -> None:
    child = start("sleeper", SLEEP, record=tmp_path)
    assert stop_orphans(tmp_path) == ["sleeper"]
    assert child.popen.wait(1) == -signal.SIGTERM
    assert stop_orphans(tmp_path) == []


def test_another_process_with_that_number_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "old.child").write_text(json.dumps({"pid": os.getpid(), "began": 1, "stop": 9}))
    assert stop_orphans(tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_one_that_will_not_end_is_made_to(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = start("stubborn", STUBBORN, record=tmp_path / "record", log=log)
    while "deaf" not in log.read_text():
        assert child.alive()
    child.stop(0.3)
    assert child.popen.returncode == -signal.SIGKILL
    assert child.last_words() == "deaf"


def test_a_child_survives_our_ctrl_c(tmp_path: Path) -> None:
    child = start("sleeper", SLEEP, record=tmp_path)
    assert os.getsid(child.popen.pid) != os.getsid(0)
    child.stop(5)


def test_a_program_that_is_not_there_leaves_no_record(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        start("nothing", [str(tmp_path / "nothing")], record=tmp_path)
    assert not list(tmp_path.glob("*.child"))
