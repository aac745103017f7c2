"""Mirrors are read from the machine's own apt sources, in both of apt's formats."""

from __future__ import annotations

import pytest

from tests.lab.errors import LabError
from tests.lab.machine import Mirrors, parse_sources

DEB822 = """\
Types: deb
# a snapshot, once
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb deb-src
URIs: http://mirror.invalid/security/
Suites: bookworm-security
Components: main
"""
ONE_LINE = """\
# deb http://old.invalid/debian bookworm main
deb-src http://sources.invalid/debian bookworm main
deb [signed-by=/a arch=amd64] http://mirror.invalid/debian bookworm main contrib
deb http://mirror.invalid/security/ bookworm-security main
"""


@pytest.mark.parametrize("text", [DEB822, ONE_LINE])
def test_both_formats_name_the_archive_and_the_security_archive(text: str):
    found = parse_sources([text], "bookworm")
    assert found == Mirrors("http://mirror.invalid/debian", "http://mirror.invalid/security")


def test_foreign_archives_are_not_taken_for_debians():
    foreign = "deb http://other.invalid/apt stable main\n"
    assert parse_sources([foreign, ONE_LINE], "bookworm").archive == "http://mirror.invalid/debian"


def test_a_machine_without_sources_for_its_release_is_told_so():
    with pytest.raises(LabError, match="no archive for trixie"):
        parse_sources([DEB822], "trixie")


def test_the_sources_of_another_release_use_the_same_archives():
    text = Mirrors("http://mirror.invalid/debian", "").sources("trixie")
    assert "Suites: trixie trixie-updates\n" in text
    assert "trixie-security" not in text
