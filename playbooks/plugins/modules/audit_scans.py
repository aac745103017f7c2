#!/usr/bin/python
"""The documentation of the task `audit_scans`, which runs on the controller (playbooks/plugins/action)."""

from __future__ import annotations

DOCUMENTATION = """
module: audit_scans
short_description: Secrets in git's history, and known holes in the host's packages and images, by Trivy
description: A scan without data is a finding, never a clean bill.
options:
  images: {type: list, elements: str, default: [], description: "Images that run, by digest"}
  repository: {type: path, description: "Git repository whose history is looked at; this one unless told"}
"""
