"""What the answer of an audit means: nothing known, something found, or nobody could be asked. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

OK, FOUND, UNASKED = "ok", "found", "could not be asked about"


@dataclass(frozen=True)
class Verdict:
    """One word about a lock, and lines that say more."""

    word: str
    lines: tuple[str, ...] = ()


def accepted(text: str) -> list[str]:
    """The numbers of vulnerabilities that somebody wrote down as known."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def pip_verdict(code: int, out: str, err: str) -> Verdict:
    """pip-audit's answer. Its report must be about packages: a strict run that could ask about none is no answer."""
    packages = _mapping(out).get("dependencies") or []
    found = tuple(_finding(package, each) for package in packages for each in package.get("vulns", []))
    if found:
        return Verdict(FOUND, found)
    passed_over = [package["name"] for package in packages if "skip_reason" in package]
    if code or not packages or passed_over:
        return Verdict(UNASKED, _last(err) + tuple(f"{name} was passed over" for name in passed_over))
    return Verdict(OK)


def npm_verdict(code: int, out: str, err: str) -> Verdict:
    """npm's answer. An error is JSON too, but without the counts of a report."""
    report = _mapping(out)
    counts = report.get("metadata", {}).get("vulnerabilities")
    if counts is None:
        return Verdict(UNASKED, _last(str(report.get("message") or err)))
    grave = tuple(
        f"{name}: {each['severity']}, {each['range']}"
        for name, each in sorted(report.get("vulnerabilities", {}).items())
        if each["severity"] in ("high", "critical")
    )
    if grave or counts.get("high") or counts.get("critical"):
        return Verdict(FOUND, grave)
    return Verdict(UNASKED, _last(err)) if code else Verdict(OK)


def _finding(package: dict[str, Any], each: dict[str, Any]) -> str:
    mended = ", ".join(each["fix_versions"]) or "no release yet"
    return f"{package['name']} {package['version']}: {each['id']}, mended in {mended}"


def _mapping(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


def _last(text: str) -> tuple[str, ...]:
    return tuple(text.strip().splitlines()[-3:])
