#!/usr/bin/python
"""The documentation of the task `drift_notes`, which runs on the controller (playbooks/plugins/action)."""

from __future__ import annotations

DOCUMENTATION = """
module: drift_notes
short_description: What check mode would have changed on this host, as the callback of the same name noted it
options: {}
"""
