"""Filters of the role hardening: folders for root alone, and what Lynis says. Pure functions of data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any


def folders_of_root(paths: Iterable[str]) -> list[dict[str, str]]:
    """Entries of `host_state` for folders that only root enters."""
    return [{"path": path, "state": "directory", "mode": "0700"} for path in paths]


def lynis_report(text: str, exceptions: Mapping[str, str]) -> dict[str, Any]:
    """Index, and warnings and suggestions by their tests; those that are not followed with their reasons.

    Args:
        text: Lynis' report file, lines of `name=value`; lists are `name[]=TEST|words|…`.
        exceptions: test to the reason why it is not followed.
    """
    index = re.search(r"^hardening_index=(\d+)$", text, re.MULTILINE)
    said = re.findall(r"^(warning|suggestion)\[\]=([A-Z]+-\d+)\|([^|]*)\|", text, re.MULTILINE)
    lines = [{"kind": kind, "test": test, "what": what} for kind, test, what in said]
    tests = {line["test"] for line in lines}
    return {
        "index": int(index.group(1)) if index else 0,
        "open": [line for line in lines if line["test"] not in exceptions],
        "excepted": [{**line, "reason": exceptions[line["test"]]} for line in lines if line["test"] in exceptions],
        "unneeded": sorted(set(exceptions) - tests),
    }


def hardening_lines(report: Mapping[str, Any]) -> list[str]:
    """The report for a person."""
    return [
        f"Hardening index: {report['index']}",
        *(f"{line['kind']} {line['test']}: {line['what']}" for line in report["open"]),
        *(f"not followed, {line['test']}: {line['what']} - {line['reason']}" for line in report["excepted"]),
        *(f"not needed here: the exception {test}" for test in report["unneeded"]),
    ]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {
            "folders_of_root": folders_of_root,
            "hardening_lines": hardening_lines,
            "lynis_report": lynis_report,
        }
