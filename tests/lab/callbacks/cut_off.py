"""Ends a run of ansible-playbook as a lost CI runner does: at once, with everything that it started here."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: cut_off
type: aggregate
short_description: Kills the run at a named task (tests only)
description: >-
  CUT_OFF_AT names the task; its role may be before it ("deploy : Switch"), as Ansible prints it. CUT_OFF_AFTER is how
  many seconds after the task's beginning it happens; 0 is before the task does anything.
requirements: [named in ANSIBLE_CALLBACKS_ENABLED, its folder in ANSIBLE_CALLBACK_PLUGINS]
"""


def _family(pid: int) -> list[int]:
    """A process and all below it, the youngest first: workers are in sessions of their own."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name of the command, in brackets, may hold blanks: count from behind it. proc(5): field 4.
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry.parent.name))
    return [process for child in children.get(pid, []) for process in _family(child)] + [pid]


def _die() -> None:
    for pid in _family(os.getpid()):
        with suppress(ProcessLookupError):  # a worker that ended meanwhile; ours comes last and must be reached
            os.kill(pid, signal.SIGKILL)


class CallbackModule(CallbackBase):
    """Waits for the task."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "cut_off"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Called in the main process, before the task is given to a worker."""
        if task.get_name().endswith(os.environ["CUT_OFF_AT"]):
            seconds = float(os.environ["CUT_OFF_AFTER"])
            if seconds:
                threading.Timer(seconds, _die).start()
            else:
                _die()
