"""Makes a play that matched no host a failure: ansible-playbook itself would exit 0."""

from __future__ import annotations

import sys

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: no_hosts_is_failure
type: aggregate
short_description: A play without hosts ends the run with exit code 4
description: >-
  ansible-playbook skips a play that matches no host and exits 0, so a mistyped group or an empty inventory looks like
  a success. With this callback it is an error.
requirements: [enabled in ansible.cfg]
"""


class CallbackModule(CallbackBase):
    """Ends the process where a play has nobody to talk to."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "no_hosts_is_failure"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_no_hosts_matched(self) -> None:
        """Exit with 4, the code ansible-playbook uses for a target that cannot be reached."""
        self._display.error(
            "No host to work on: the inventory has none in the group this playbook is for, or --limit leaves none.\n"
            "Look at `ansible-inventory --graph`; hosts belong in the group `moorage` of inventories/<name>/hosts.yml."
        )
        sys.exit(4)
