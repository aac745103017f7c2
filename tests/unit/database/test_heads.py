"""The head that readiness compares with is Alembic's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from webapp.database import heads


def test_it_is_what_alembic_says() -> None:
    config = Config()
    config.set_main_option("script_location", str(heads.VERSIONS.parent))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [heads.head()]


@pytest.mark.parametrize(
    "files",
    [{}, {"0001_a.py": 'revision = "1"\ndown_revision = None', "0002_b.py": 'revision = "2"\ndown_revision = None'}],
    ids=["none", "two"],
)
def test_none_or_two_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(heads, "VERSIONS", tmp_path)
    with pytest.raises(RuntimeError, match="one head"):
        heads.head.__wrapped__()
