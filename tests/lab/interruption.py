"""Runs of ansible-playbook that are cut off: the controller dies at once, and where wanted the host's part with it."""

from __future__ import annotations

from pathlib import Path

from tests.lab.hosts import Host
from tests.lab.lab import Lab
from tests.lab.playbook import ROOT, Run, ansible

_FOLDERS = (ROOT / "playbooks/plugins/callback", Path(__file__).parent / "callbacks")
# Every process below the sessions of the user that playbooks log in as, by their ids.
_KILL_SESSIONS = r"""
family() { for child in $(cat /proc/$1/task/*/children 2>/dev/null); do family "$child"; echo "$child"; done; }
for process in $(pgrep -f '^sshd(-session)?: deploy'); do family "$process"; done | xargs -r kill -9 2>/dev/null || true
"""


def cut_off(
    lab: Lab, playbook: str, *args: str, at: str, after: float = 0, host: Host | None = None, **environment: str
) -> Run:
    """A run that is killed at a task.

    Args:
        at: the end of the task's name.
        after: seconds from the beginning of the task; 0 is before it does anything.
        host: where what the task does is killed too; without it, that goes on by itself, as after a lost connection.

    Raises:
        AssertionError: where the run came to its end, because it never got to that task.
    """
    run = ansible(
        lab,
        playbook,
        *args,
        ANSIBLE_CALLBACK_PLUGINS=":".join(map(str, _FOLDERS)),
        ANSIBLE_CALLBACKS_ENABLED="no_hosts_is_failure,cut_off",
        CUT_OFF_AT=at,
        CUT_OFF_AFTER=str(after),
        **environment,
    )
    if host:
        host.exec("sh", "-c", _KILL_SESSIONS)
    assert run.code == -9, f"{playbook} was not killed at {at!r}: exit {run.code}\n{run.output}"
    return run
