"""Reads a value out of the host's .env, as `env_file` wrote it and as Compose would read it."""

from __future__ import annotations

import re
from pathlib import Path

_LINE = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)


def unquote(raw: str) -> str:
    """The value of a right-hand side: single quotes keep all, double quotes escape `\\`, `"` and `$`. Pure."""
    text = raw.strip()
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1]
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


def value_of(path: Path, name: str) -> str:
    """One secret; empty where there is no file or no such name. The last of two lines counts, as for Compose.

    Raises:
        PermissionError: the file cannot be read.
    """
    if not path.exists():
        return ""
    found = [match.group(2) for match in _LINE.finditer(path.read_text()) if match.group(1) == name]
    return unquote(found[-1]) if found else ""
