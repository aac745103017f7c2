"""One run at a time changes a host; who finds it taken is told by whom, and how to go on if that one is dead."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.lab import Host, Lab
from tests.lab.fullness import full
from tests.lab.interruption import cut_off
from tests.lab.playbook import ansible, succeeded
from tests.lab.serving import LOCK, leftovers, log, release, serving, settled, unnoticed

# As another machine's run would have written it, but for the boot, which is this host's.
ELSEWHERE = {
    "token": "f00dcafe",
    "what": "Deploy the stack sha-seven",
    "by": "ann",
    "from": "runner-7",
    "controller": "runner-7 another-boot",
    "pid": 4242,
    "began": "1",
    "at": "2026-01-02T03:04:05Z",
}


def lock(site: Host) -> dict[str, Any]:
    """What the host's lock says; empty where there is none."""
    return dict(json.loads(site.exec(f"cat {LOCK} 2>/dev/null || echo '{{}}'")))


def other(site: Host) -> str:
    """The one of two versions that does not run."""
    return "sha-one" if release(site)["entry"]["tag"] == "sha-two" else "sha-two"


@pytest.fixture(scope="module")
def two(lab: Lab, site: Host) -> None:
    """A second version in the registry."""
    lab.push("sha-two")


@pytest.fixture
def held(site: Host) -> Iterator[None]:
    """The lock of a run on another machine, of which nobody can know whether it lives."""
    boot = site.exec("cat", "/proc/sys/kernel/random/boot_id").strip()
    site.exec("tee", LOCK, given=json.dumps({**ELSEWHERE, "boot": boot}))
    yield
    site.exec("rm", "-f", LOCK)


def test_of_two_deploys_one_is_refused_and_the_other_is_unharmed(lab: Lab, site: Host, two: None):
    tag, last = other(site), release(site)["last"]
    lines = log(site)
    with unnoticed(lab), ThreadPoolExecutor(max_workers=1) as pool:
        winner = pool.submit(ansible, lab, "deploy", "-e", f"image_tag={tag}", GITHUB_ACTOR="bea")
        end = time.monotonic() + 60
        while not (holder := lock(site)):
            assert not winner.done() and time.monotonic() < end, "the first run took no lock"
            time.sleep(0.2)
        loser = ansible(lab, "deploy", "-e", "image_tag=sha-three", GITHUB_ACTOR="cay")
        assert not winner.done(), "the refused one is quick"
        assert loser.code != 0 and loser.changed == 0
        for words in (
            f"Another run is at work on this host: Deploy the stack {tag}, by bea from {socket.gethostname()}",
            f"begun {holder['at']}",
            f"-e break_lock={holder['token']}",
            "Nothing was changed.",
        ):
            assert words in loser.words
        assert lock(site)["token"] == holder["token"], "the refused one must not leave the other's lock"
        succeeded(winner.result())
    assert release(site)["number"] == last + 1
    assert log(site)[:-1] == lines and log(site)[-1]["by"] == "bea"
    settled(lab, site)


def test_the_lock_of_another_machine_holds_until_it_is_broken_by_its_name(lab: Lab, site: Host, held: None):
    before = serving(site)
    for arguments in ([], ["-e", "break_lock=f00d"]):
        run = ansible(lab, "deploy", *arguments)
        assert run.code != 0
        assert "Deploy the stack sha-seven, by ann from runner-7 (process 4242)" in run.words
        assert "begun 2026-01-02T03:04:05Z" in run.words
        assert "-e break_lock=f00dcafe" in run.words
        assert lock(site)["token"] == "f00dcafe"
    run = succeeded(ansible(lab, "deploy", "-e", "break_lock=f00dcafe"))
    assert run.changed == 0
    assert "A dead run held this host's lock and was taken over: Deploy the stack sha-seven, by ann" in run.words
    assert lock(site) == {}
    assert serving(site) == before


@full
def test_check_mode_neither_takes_the_lock_nor_minds_it(lab: Lab, site: Host, held: None):
    succeeded(ansible(lab, "deploy", "--check"))
    assert lock(site)["token"] == "f00dcafe"
    site.exec("rm", LOCK)
    succeeded(ansible(lab, "rollback", "--check"))
    assert lock(site) == {}


@full
def test_a_dead_run_of_this_machine_gives_way_and_is_recorded(lab: Lab, site: Host, two: None):
    tag, serves = other(site), release(site)
    with unnoticed(lab):
        cut_off(lab, "deploy", "-e", f"image_tag={tag}", at="Switch", GITHUB_ACTOR="bea")
        assert lock(site)["releasing"]["tag"] == tag
        lines = log(site)
        run = succeeded(ansible(lab, "deploy", GITHUB_ACTOR="cay"))
    assert f"A dead run held this host's lock and was taken over: Deploy the stack {tag}, by bea" in run.words
    *earlier, last = log(site)
    assert earlier == lines
    assert {**last, "units": {}} == {
        "kind": "deploy",
        "tag": tag,
        "number": serves["last"] + 1,
        "from": {"number": serves["number"], "tag": serves["entry"]["tag"]},
        "units": {},
        "by": "bea",
        "at": last["at"],
        "verdict": "interrupted",
    }
    assert set(last["units"]) == {"controlplane", "frontend"}
    assert release(site) == serves
    settled(lab, site)


@full
def test_a_run_that_failed_leaves_no_lock(lab: Lab, site: Host):
    assert ansible(lab, "deploy", "-e", "image_tag=sha-nowhere").code != 0
    # Refused after the lock was taken, and before anything else.
    assert ansible(lab, "deploy", "-e", json.dumps({"controlplane_pool_size": 11})).code != 0
    assert leftovers(site) == []
