#!/usr/bin/python
"""The documentation of the task `audit_outside`, which runs on the controller (playbooks/plugins/action)."""

from __future__ import annotations

DOCUMENTATION = """
module: audit_outside
short_description: Certificates, security headers and open TCP ports of a host, as seen from the controller
options:
  names: {type: list, elements: str, required: true, description: Public names of the product}
  address: {type: str, default: "", description: "Where to connect for them; empty resolves each"}
  ca: {type: str, default: "", description: "PEM of a root to trust besides the system's"}
  days: {type: int, default: 14, description: A certificate that ends sooner is a finding}
  ports: {type: str, default: "", description: "TCP ports to knock at, such as 1-65535"}
  scan: {type: str, default: "", description: "Address to knock at; the names' unless told"}
  allowed: {type: list, elements: str, required: true, description: "Declared ports, such as 443/tcp"}
"""
