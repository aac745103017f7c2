"""What a host must be before anything on it is changed."""

from __future__ import annotations

import pytest

LIMITS = {"min_memory_mb": 1900, "min_disk_mb": 10240, "root": "/opt/moorage"}
GOOD = {"memtotal_mb": 3900, "disk_free_mb": 50000, "foreign_listeners": {}}


@pytest.fixture
def preflight(plugin):
    return plugin("modules", "preflight")


@pytest.mark.parametrize(
    ("facts", "first", "said"),
    [
        ({}, True, []),
        ({"memtotal_mb": 1024}, True, ["This host has 1024 MB of memory; the stack needs 1900 MB"]),
        ({"disk_free_mb": 8000}, True, ["This host has 8000 MB of free disk under /opt/moorage"]),
        ({"disk_free_mb": 8000}, False, []),
        ({"foreign_listeners": {80: "nginx (pid 7)"}}, False, ["Port 80 is held by nginx (pid 7), which is not ours"]),
        ({"memtotal_mb": 1, "disk_free_mb": 1}, True, ["This host has 1 MB of memory", "This host has 1 MB of free"]),
    ],
)
def test_complaints(preflight, facts, first, said):
    got = preflight.complaints({**GOOD, **facts}, first, LIMITS)
    assert len(got) == len(said)
    for line, begin in zip(got, said, strict=True):
        assert line.startswith(begin)


def test_distributions_are_named_as_ansible_names_them(preflight):
    text = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'
    assert preflight.distribution(text) == {
        "distribution": "Debian",
        "distribution_version": "13",
        "distribution_major_version": "13",
        "distribution_release": "trixie",
    }


def test_this_machine_can_be_read(preflight, tmp_path):
    assert preflight.memory_mb() > 0
    assert preflight.free_disk_mb(str(tmp_path / "not" / "there" / "yet")) > 0


def test_a_listener_of_somebody_else_is_found_with_its_process(preflight):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert "pid" in preflight.listeners([port])[port]


@pytest.mark.parametrize(
    ("lock", "serves", "verdict"),
    [
        ({}, 6, None),
        ({"token": "aa"}, 6, None),
        ({"by": "ann", "at": "t", "releasing": {"kind": "deploy", "number": 7}}, 6, "interrupted"),
        ({"by": "ann", "at": "t", "releasing": {"kind": "deploy", "number": 1}}, None, "interrupted"),
        # Sealed before its run died: what serves is what it released, and the log says so already.
        ({"by": "ann", "at": "t", "releasing": {"kind": "deploy", "number": 7}}, 7, None),
    ],
)
def test_a_release_that_was_cut_off_is_recorded_unless_it_was_sealed(preflight, lock, serves, verdict):
    line = preflight.interrupted(lock, {"number": serves, "units": {}})
    assert (line or {}).get("verdict") == verdict
    if line:
        assert (line["kind"], line["by"], line["at"]) == ("deploy", "ann", "t")
