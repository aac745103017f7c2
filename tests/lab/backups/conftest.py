"""One stage for each module: its tests leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import engine as engines
from tests.lab.backups.stage import Stage


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    name = f"moorage-{request.module.__name__.rpartition('.')[2].replace('_', '-')}"
    stage = Stage(engines.ensure(), name, Path(tmp_path_factory.mktemp("stage")))
    stage.down()
    try:
        stage.up()
        yield stage
    finally:
        stage.down()


@pytest.fixture(scope="module")
def sealed(stage: Stage) -> dict[str, object]:
    """A whole backup in both targets."""
    for name, text in {"a/one.bin": "one", "a/two.bin": "two", "b/three.bin": "three"}.items():
        path = stage.folder / "store/things" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    made: dict[str, object] = stage.does("run")
    return made
