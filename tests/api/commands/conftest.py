"""One sockets process for each module of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.processes import await_ready, launch
from tests.api.serving.conftest import Served, kill, serve
from webapp.settings import Settings

__all__ = ["serve"]  # a fixture of theirs, for tests that stop or cut off what they start


@pytest.fixture(scope="module")
def sockets(
    environment: dict[str, str], settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    served = launch("sockets", environment, tmp_path_factory.mktemp("sockets"))
    yield await_ready(served, "sockets")
    kill(served.popen)
