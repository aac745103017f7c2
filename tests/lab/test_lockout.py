"""A change of sshd or of the firewall that would lock us out is taken back: by the run, or by the host alone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable

import pytest

from tests.lab import Host, Lab
from tests.lab.fullness import full, some
from tests.lab.playbook import ansible, succeeded

SABOTAGE = {
    "sshd lets nobody in": {"ssh_allow_users": ["nobody"]},
    "sshd moves to a port that is closed": {"ssh_port": 2222},
    "the firewall forgets sshd": {"firewall_allow": [{"port": 80, "proto": "tcp"}]},
}
WATCHED = "cat /etc/ssh/sshd_config.d/*.conf /etc/ufw/*.rules; iptables -S INPUT; iptables -S ufw-user-input"


def reachable(host: Host) -> bool:
    return host.ssh("sudo -n true", user="deploy").returncode == 0


@pytest.mark.parametrize("what", some(SABOTAGE, "sshd moves to a port that is closed"))
def test_a_change_that_locks_out_is_taken_back_and_the_run_fails(what: str, lab: Lab, site: Host) -> None:
    before = site.exec(WATCHED)
    played = ansible(lab, "provision", "-e", json.dumps(SABOTAGE[what]))
    assert played.code != 0
    assert "would lock us out" in played.output and "Taken back" in played.output
    assert reachable(site)
    assert site.exec(WATCHED) == before
    assert succeeded(ansible(lab, "provision")).changed == 0


@full
def test_what_sshd_itself_refuses_changes_nothing(lab: Lab, site: Host) -> None:
    before = site.exec(WATCHED)
    played = ansible(lab, "provision", "-e", json.dumps({"ssh_max_sessions": 20, "ssh_port": 99999}))
    assert played.code != 0 and "No file has been changed" in played.output
    assert site.exec(WATCHED) == before


def test_the_host_takes_back_by_itself_when_the_controller_dies(lab: Lab, site: Host) -> None:
    before = site.exec(WATCHED)
    changes = {"firewall_allow": [{"port": 80, "proto": "tcp"}], "firewall_guard_seconds": 10}
    controller = threading.Thread(target=ansible, args=(lab, "provision", "-e", json.dumps(changes)))
    controller.start()
    until(lambda: site.exec(WATCHED) != before)
    for pid in controllers():
        with contextlib.suppress(ProcessLookupError):  # a worker of the run may have ended by itself
            os.kill(pid, signal.SIGKILL)
    controller.join()
    assert not reachable(site)
    until(lambda: site.exec(WATCHED) == before)
    assert reachable(site)
    assert succeeded(ansible(lab, "provision")).changed == 0


def controllers() -> list[int]:
    """The processes of the run that this test has started: ansible-playbook, its workers, the ssh of the proof.

    Not all children of the tests: the session's own servers are among those.
    """
    command = ["pgrep", "-f", "-P", str(os.getpid()), "ansible-playbook"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    family = [int(child) for child in listed.stdout.split()]
    for pid in family:
        children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
        family += [int(child) for child in children.split()]
    return family


def until(true: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.5)
