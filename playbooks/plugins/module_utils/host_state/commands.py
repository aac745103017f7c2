"""Commands that follow a change of files (`run_on`), or a question answered with no (`unless`)."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial

from ansible.module_utils.host_state.change import Change, matches
from ansible.module_utils.host_state.machine import Machine
from ansible.module_utils.host_state.spec import CommandEntry


def promises(entries: Sequence[CommandEntry], paths: Sequence[str]) -> set[str]:
    """The keys of the commands that a change of `paths` calls for."""
    return {e.key for e in entries if any(matches(p, e.run_on) for p in paths)}


def plan(entries: Sequence[CommandEntry], due: frozenset[str], machine: Machine) -> list[Change]:
    """One Change for each command that is due, or whose `unless` exits other than 0."""
    return [
        Change("command", shlex.join(e.run), "run", partial(_run, e, machine), key=e.key)
        for e in entries
        if e.key in due or (e.unless and machine.run(e.unless).code != 0)
    ]


def _run(entry: CommandEntry, machine: Machine) -> None:
    machine.must(entry.run, entry.where)
