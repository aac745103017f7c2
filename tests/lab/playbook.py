"""Runs playbooks against the lab as CI and people do, and reads what they print."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab.hosts import Host
from tests.lab.lab import Lab

ROOT = Path(__file__).parents[2]
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
# The Debian 12 host, and its names: a domain of its own, as the product's names lead to `vps`.
OLD = "old"
OLD_DOMAIN = "old.moorage.test"
OLD_NAMES = tuple(f"{name}.{OLD_DOMAIN}" for name in ("app", "api", "s3"))
# Everything that any playbook of this session printed: a secret must not be in it.
TRANSCRIPT: list[str] = []


@dataclass(frozen=True)
class Run:
    """How a run of ansible-playbook ended."""

    code: int
    output: str
    seconds: float

    @property
    def changed(self) -> int:
        """Changed tasks over all hosts; -1 where no recap was printed."""
        recaps = _RECAP.findall(self.output)
        return sum(int(recap[2]) for recap in recaps) if recaps else -1

    @property
    def changes(self) -> str:
        """What the run says of each task that changed something: a CI's log keeps the beginning of the whole only."""
        tasks = re.split(r"^(?=TASK |PLAY |RUNNING HANDLER )", self.output, flags=re.MULTILINE)
        return "".join(task for task in tasks if re.search(r"^changed: ", task, flags=re.MULTILINE))

    @property
    def words(self) -> str:
        """The output in one line, for sentences that were wrapped."""
        return " ".join(self.output.split())


def environment_of(**further: str) -> dict[str, str]:
    """What a controller's commands run in: this Python's tools first, and no colours."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "NO_COLOR": "1", "ANSIBLE_FORCE_COLOR": "0", **further}


def ansible(lab: Lab, playbook: str, *args: str, timeout: float = 900, **environment: str) -> Run:
    """One run against the lab's `vps` (or what the arguments say).

    Args:
        playbook: file name under playbooks/, without the ending.
        args: further arguments of ansible-playbook; later `-e` win.
        environment: further environment variables.
    """
    command = ["ansible-playbook", "-i", "inventories/lab", "-e", f"@{lab.folder}/generated.yml"]
    begun = time.monotonic()
    done = subprocess.run(
        [*command, f"playbooks/{playbook}.yml", *args],
        cwd=ROOT,
        env=environment_of(**environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    TRANSCRIPT.append(done.stdout)
    return Run(done.returncode, done.stdout, time.monotonic() - begun)


def towards(host: Host) -> list[str]:
    """Arguments that aim the lab's inventory at another host than `vps`."""
    given = {"lab_address": host.address, "lab_docker_cgroup_parent": host.cgroup_parent, "stack_domain": OLD_DOMAIN}
    # Its engine's disk is small, and the containers that watch are the same on either host.
    given["monitoring_enabled"] = False
    return ["-e", json.dumps(given)]


def succeeded(run: Run) -> Run:
    """The run, if it succeeded; else an AssertionError with the end of what it printed."""
    assert run.code == 0, f"exit {run.code}\n" + "\n".join(run.output.splitlines()[-80:])
    return run
