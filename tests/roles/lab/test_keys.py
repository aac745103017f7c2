"""The lab finds what it made by what went in."""

from __future__ import annotations

from pathlib import Path

from tests.lab.cache import key_of, key_of_files


def test_a_key_knows_the_border_between_two_parts():
    assert key_of("ab", "c") != key_of("a", "bc")
    assert key_of("ab", "c") == key_of(b"ab", b"c")


def test_a_key_of_files_changes_with_names_contents_and_the_executable_bit_alone(tmp_path: Path):
    first = tmp_path / "a"
    first.write_text("one")
    first.chmod(0o644)
    before = key_of_files(tmp_path, [first])

    first.chmod(0o600)
    assert key_of_files(tmp_path, [first]) == before

    first.chmod(0o755)
    assert key_of_files(tmp_path, [first]) != before

    first.chmod(0o644)
    first.write_text("two")
    assert key_of_files(tmp_path, [first]) != before

    second = tmp_path / "b"
    second.write_text("one")
    assert key_of_files(tmp_path, [second]) != before
