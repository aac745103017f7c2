"""Labs do not get in each other's way, and leave the machine's hosts file as they found it."""

from __future__ import annotations

import pytest

from tests.lab.errors import LabError
from tests.lab.network import Plan, with_names

BEFORE = "127.0.0.1 localhost\n::1 ip6-localhost\n"
NAMES = ["app.moorage.test", "api.moorage.test"]


def test_names_are_added_once_moved_and_taken_away():
    added = with_names(BEFORE, "demo", "127.0.10.10", NAMES)
    assert added == BEFORE + "127.0.10.10 app.moorage.test api.moorage.test # moorage-lab demo\n"
    assert with_names(added, "demo", "127.0.10.10", NAMES) == added
    assert "127.0.10.10" not in with_names(added, "demo", "127.0.10.11", NAMES)
    assert with_names(added, "demo", "", []) == BEFORE


def test_another_labs_line_is_left_alone():
    added = with_names(BEFORE, "demo", "127.0.10.10", NAMES)
    assert with_names(added, "test", "", []) == added


def test_every_lab_has_addresses_of_its_own():
    demo, test, own = Plan("demo"), Plan("test"), Plan("mine")
    assert (demo.loopback(10), demo.bridge(10)) == ("127.0.10.10", "172.30.10.10")
    assert test.subnet == "172.30.20.0/24"
    assert own.number not in {demo.number, test.number}
    assert own.number == Plan("mine").number


@pytest.mark.parametrize("name", ["", "Demo", "a-b", "x" * 13, "1st"])
def test_a_name_that_docker_or_a_path_would_stumble_over_is_refused(name: str):
    with pytest.raises(LabError, match="cannot name a lab"):
        _ = Plan(name).number
