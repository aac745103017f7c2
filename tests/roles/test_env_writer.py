"""One write of .env: names that change, names that go, and all else as it stands."""

from __future__ import annotations

import pytest

TEXT = "# mine\nA='1'\n\nB='2'\nA_BLUE='3'\n"


@pytest.fixture
def writer(plugin):
    from tests.rendering import share_module_utils

    share_module_utils()
    return plugin("module_utils", "env_writer")


@pytest.mark.parametrize(
    ("changes", "gone", "text"),
    [
        ({}, (), TEXT),
        ({"B": "'x'"}, (), TEXT.replace("'2'", "'x'")),
        ({"C": "''"}, ("A_BLUE",), "# mine\nA='1'\n\nB='2'\nC=''\n"),
        ({"A": "'4'"}, ("A", "ABSENT"), TEXT.replace("'1'", "'4'")),
    ],
)
def test_only_what_is_named_changes(writer, changes, gone, text):
    assert writer.rewrite(TEXT, changes, gone) == text


def test_the_file_is_for_root_alone(writer, tmp_path):
    writer.write(tmp_path / ".env", TEXT)
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600 and (tmp_path / ".env").read_text() == TEXT
