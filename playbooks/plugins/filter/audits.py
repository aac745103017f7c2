"""Filters of the role audit: what is open, what is waived, and a line for each. Pure functions of data."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

# Ansible ships module_utils to hosts, but does not make them importable on the controller.
sys.path.append(str(Path(__file__).parents[1] / "module_utils"))
import audit


def audit_report(
    findings: Iterable[Mapping[str, str]], waivers: Iterable[Mapping[str, Any]], at: datetime
) -> dict[str, Any]:
    """What is open and what is waived, and when that was judged."""
    plain = [{"check": str(one["check"]), "what": str(one["what"])} for one in findings]
    return {"at": at.strftime("%Y-%m-%dT%H:%M:%SZ"), **audit.judged(plain, waivers, at.date())}


def finding_line(finding: Mapping[str, str]) -> str:
    """One line for a person."""
    return f"{finding['check']}: {finding['what']}"


def waiver_line(finding: Mapping[str, str]) -> str:
    """The same of one that is waived."""
    return f"waived until {finding['until']}, {finding['reason'].rstrip('.')}: {finding_line(finding)}"


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"audit_report": audit_report, "finding_line": finding_line, "waiver_line": waiver_line}
