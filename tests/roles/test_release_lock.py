"""One run at a time: the lock says whose it is, and only a dead run's is taken over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest


@pytest.fixture
def locks(plugin):
    return plugin("module_utils", "release_lock")


def run(token: str, **more) -> dict:
    return {"token": token, "what": "Deploy the stack t2", "by": "ann", "from": "ci-7", "pid": 42, **more}


def test_a_second_run_is_refused_and_told_whose_lock_it_is_and_how_to_break_it(locks, tmp_path):
    path = tmp_path / "lock.json"
    assert locks.take(run("aa"), path=path) is None
    with pytest.raises(locks.Held) as held:
        locks.take(run("bb"), path=path)
    said = locks.refusal(held.value.lock)
    for part in ("Deploy the stack t2", "by ann from ci-7", "process 42", "-e break_lock=aa", "Nothing was changed"):
        assert part in said


def test_a_lock_is_left_by_its_run_only(locks, tmp_path):
    path = tmp_path / "lock.json"
    locks.take(run("aa"), path=path)
    assert not locks.leave("bb", path)
    assert locks.leave("aa", path)
    assert not locks.leave("aa", path)
    assert locks.take(run("bb"), path=path) is None


def test_a_named_lock_is_broken_and_another_one_is_not(locks, tmp_path):
    path = tmp_path / "lock.json"
    locks.take(run("aa"), path=path)
    with pytest.raises(locks.Held):
        locks.take(run("bb"), broken="zz", path=path)
    assert locks.take(run("bb"), broken="aa", path=path)["token"] == "aa"
    assert locks.read(path)["token"] == "bb"


def test_a_lock_from_before_the_host_was_booted_is_dead(locks, tmp_path):
    path = tmp_path / "lock.json"
    locks.take(run("aa"), path=path)
    path.write_text(json.dumps({**locks.read(path), "boot": "another"}))
    assert locks.take(run("bb"), path=path)["token"] == "aa"


def test_an_unreadable_lock_is_not_taken_over_silently(locks, tmp_path):
    path = tmp_path / "lock.json"
    path.write_text("")
    with pytest.raises(locks.Held) as held:
        locks.take(run("bb"), path=path)
    assert "sudo rm" in locks.refusal(held.value.lock)


def test_an_unreadable_lock_from_before_the_host_was_booted_is_dead(locks, tmp_path):
    path = tmp_path / "lock.json"
    path.write_text("")
    os.utime(path, (1, 1))
    assert locks.take(run("bb"), path=path) == {}


def test_of_many_that_break_the_same_lock_one_gets_it(locks, tmp_path):
    path = tmp_path / "lock.json"
    locks.take(run("dead"), path=path)
    got, start = [], threading.Barrier(8)

    def attempt(number: int) -> None:
        start.wait()
        try:
            locks.take(run(f"t{number}"), broken="dead", path=path)
            got.append(f"t{number}")
        except locks.Held:
            pass

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [locks.read(path)["token"]]


def test_the_lock_says_what_was_under_way(locks, tmp_path):
    path = tmp_path / "lock.json"
    locks.take(run("aa"), path=path)
    locks.note("another", {"kind": "rollback"}, path)
    locks.note("aa", {"kind": "deploy", "tag": "t2"}, path)
    assert locks.take(run("bb"), broken="aa", path=path)["releasing"] == {"kind": "deploy", "tag": "t2"}


def test_who_takes_over_waits_for_what_the_dead_run_left_at_work(locks, tmp_path):
    path = tmp_path / "lock.json"
    locks.take(run("aa"), path=path)
    taken = []
    with locks.at_work(path):
        heir = threading.Thread(target=lambda: taken.append(locks.take(run("bb"), broken="aa", path=path)))
        heir.start()
        heir.join(0.5)
        assert not taken
    heir.join(10)
    assert taken[0]["token"] == "aa"


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("2026-11-21T03:59:30Z", "30 s ago"),
        ("2026-11-21T03:30:00Z", "30 minutes ago"),
        ("2026-11-20T04:00:00Z", "24 hours ago"),
        ("soon", "at an unknown time"),
    ],
)
def test_how_long_ago(locks, at, said):
    assert locks.age(at, datetime(2026, 11, 21, 4, tzinfo=UTC)) == said


def test_only_a_run_of_this_machine_can_be_known_to_be_dead(plugin):
    action = plugin("action", "preflight")
    here = action.controller()
    alive = {"controller": here, "pid": os.getpid(), "began": action.began(os.getpid())}
    assert not action.dead(alive)
    assert action.dead({**alive, "began": "1"}), "another process with the same number"
    assert not action.dead({**alive, "controller": "elsewhere", "began": "1"})
    gone = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    its = {"controller": here, "pid": gone.pid, "began": action.began(gone.pid)}
    assert not action.dead(its)
    gone.kill()
    gone.wait()
    assert action.dead(its)
