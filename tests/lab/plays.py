"""Runs a playbook against a lab, as a person would, and reads its recap."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.lab.facts import REPOSITORY
from tests.lab.lab import Lab


@dataclass(frozen=True)
class Played:
    """A finished run. Counts are of the first host in the recap, 0 when there is none."""

    code: int
    out: str

    def count(self, what: str) -> int:
        """Tasks that were `ok`, `changed`, `failed`, …"""
        found = re.search(rf"PLAY RECAP.*?{what}=(\d+)", self.out, re.DOTALL)
        return int(found.group(1)) if found else 0

    @property
    def changed(self) -> int:
        return self.count("changed")


def play(lab: Lab, playbook: str, *arguments: str, timeout: float = 600) -> Played:
    """Run `playbooks/<playbook>` with the lab's inventory and facts; whatever happens is in the result."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventories/lab"]
    command += ["-e", f"@{lab.folder / 'generated.yml'}", *arguments, f"playbooks/{playbook}"]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout,
    )
    return Played(done.returncode, done.stdout)


def must_play(lab: Lab, playbook: str, *arguments: str) -> Played:
    """The same, of a run that has to succeed; an AssertionError carries what it printed."""
    played = play(lab, playbook, *arguments)
    assert played.code == 0, played.out
    return played
