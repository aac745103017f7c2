"""A depot, and an order for what it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.pace import Pace
from agent.runner.fetch import fetch
from agent.runner.order import order
from tests.unit.runner.depot import MODULE, TOKEN, Depot, content


class Hasty(Pace):
    """Waits a hundredth; what was to be waited is kept in `waits`."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return super().wait(seconds / 100)


@pytest.fixture
def depot() -> Iterator[Depot]:
    made = Depot(content(3_000_000))
    yield made
    made.close()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "artifact.bin"


@pytest.fixture
def pace() -> Hasty:
    return Hasty()


@pytest.fixture
def get(depot: Depot, output: Path, pace: Hasty) -> Callable[..., dict[str, Any]]:
    def go(**more: Any) -> dict[str, Any]:
        wanted: dict[str, Any] = {
            "server": depot.url, "token": TOKEN, "vm_uuid": "vm-0000-1111", "module": MODULE, "platform": "linux",
            "channel": "stable", "output": output, "agent_id": "a", "runner_id": None, "user_id": None,
            "max_seconds": 60.0, "ca_file": None,
        }  # fmt: skip
        return fetch(order(**wanted | more), pace=pace)

    return go
