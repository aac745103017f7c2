"""Writes the host's .env: names get values, names go, all else is kept as it stands; whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from ansible.module_utils import atomic

LINE = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$")
HEADER = "# Secrets of this host. Written by playbooks, read by Compose, kept nowhere else.\n"


def parse(text: str) -> dict[str, str]:
    """Names to their raw (quoted) values; comments and blank lines are dropped by nobody: see `rewrite`."""
    return {match.group(1): match.group(2) for line in text.splitlines() if (match := LINE.match(line))}


def quote(value: str) -> str:
    """A value as Compose reads it back literally: single quotes take everything but a quote and a backslash."""
    if "'" not in value and "\\" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def rewrite(text: str, changes: Mapping[str, str], gone: Iterable[str] = ()) -> str:
    """The file with the changed names replaced in place, new ones at its end and others gone, all else kept.

    Args:
        changes: name to its raw value, as `quote` writes it.
    """
    left, gone = dict(changes), set(gone)
    lines = []
    for line in text.splitlines():
        match = LINE.match(line)
        if match and match.group(1) in left:
            lines.append(f"{match.group(1)}={left.pop(match.group(1))}")
        elif not match or match.group(1) not in gone:
            lines.append(line)
    lines += [f"{name}={value}" for name, value in left.items()]
    return "".join(f"{line}\n" for line in lines)


def write(path: Path, text: str) -> None:
    """Replace the file, 0600."""
    atomic.write(path, text, 0o600)
