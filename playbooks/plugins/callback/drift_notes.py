"""Notes what check mode would change, for `playbooks/drift.yml` to report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: drift_notes
type: aggregate
short_description: Keeps what tasks of a play with `collects_drift` would change
description: >-
  A line of JSON for each task that would change something or that failed, in a file of this run's own folder for
  scratch files; the task `drift_notes` reads it there. Plays without that variable are not looked at.
requirements: [enabled in ansible.cfg]
"""

NOTES = "drift-notes.jsonl"


class CallbackModule(CallbackBase):
    """Writes the notes; results arrive in the main process, one after the other."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "drift_notes"
    CALLBACK_NEEDS_ENABLED = True

    _collects = False

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Is this a play whose changes are drift?"""
        self._collects = bool(play.get_vars().get("collects_drift"))

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task that would change something."""
        if self._collects and result.task.check_mode and result.is_changed():
            # Under no_log there is nothing but the fact that it changes.
            said = result.result.get("changes") or result.result.get("written") or ["would change"]
            self._note(result, [str(one) for one in said])

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task that could not even look: what comes after it was not looked at."""
        if self._collects and not ignore_errors:
            self._note(result, [f"could not be looked at: {result.result.get('msg', 'no reason given')}"])

    def _note(self, result: Any, said: list[str]) -> None:
        note = {"host": result.host.get_name(), "task": result.task.get_name(), "said": said}
        with (Path(constants.DEFAULT_LOCAL_TMP) / NOTES).open("a") as notes:
            notes.write(json.dumps(note) + "\n")
