"""What a running process leaves for its health check."""

from __future__ import annotations

import os
import time
from pathlib import Path

from webapp.serving.running import Running, announced


def test_every_process_that_announced_itself_is_found_with_its_age(tmp_path: Path) -> None:
    Running("api", 8000).announce(tmp_path / "run")
    beat = Running("worker").announce(tmp_path / "run")
    os.utime(beat, (time.time() - 30, time.time() - 30))
    found = dict(announced(tmp_path / "run"))
    assert set(found) == {Running("api", 8000), Running("worker")}
    assert found[Running("api", 8000)] < 5 < 25 < found[Running("worker")]


def test_nobody_is_nobody(tmp_path: Path) -> None:
    assert announced(tmp_path / "nowhere") == []
