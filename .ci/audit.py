#!/usr/bin/env python3
"""Asks whether a locked package has a known vulnerability: Python's locks by pip-audit, npm's by npm.

A line for each lock. A lock that could not be asked about fails like one with a finding: silence is no clean bill.
"""

# ruff: noqa: T201 - a command's output is what it is for

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from shipping import ROOT
from shipping.audits import Verdict, accepted, npm_verdict, pip_verdict

PYTHON_LOCKS = ("webapp/requirements.txt", "webapp/requirements-local.txt", "tests/requirements.txt")
NPM_LOCKS = ("docs/examples/frontend/package-lock.json", ".ci/node/package-lock.json")
ACCEPTED = ROOT / ".ci/accepted.txt"


def said(command: list[str], folder: Path = ROOT) -> tuple[int, str, str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def ask_pip(lock: str, known: list[str]) -> Verdict:
    """pip-audit on one lock: strict, as without that it passes over what it could not ask about."""
    command = [sys.executable, "-m", "pip_audit", "--strict", "--progress-spinner", "off", "--format", "json"]
    # The lock is whole and has hashes, so nothing is resolved or downloaded.
    command += ["--require-hashes", "--disable-pip", "-r", lock]
    for number in known:
        command += ["--ignore-vuln", number]
    return pip_verdict(*said(command))


def ask_npm(lock: str) -> Verdict:
    """npm's own audit on one lock."""
    command = [str(ROOT / ".ci/npm"), "audit", "--package-lock-only", "--audit-level=high", "--json"]
    return npm_verdict(*said(command, (ROOT / lock).parent))


def main() -> int:
    """Ask about every lock; 1 if one has a finding or no answer."""
    known = accepted(ACCEPTED.read_text())
    verdicts = {lock: ask_pip(lock, known) for lock in PYTHON_LOCKS} | {lock: ask_npm(lock) for lock in NPM_LOCKS}
    for lock, verdict in verdicts.items():
        print(f"{lock:<42} {verdict.word}")
        for line in verdict.lines:
            print(f"  {line}")
    return int(any(verdict.word != "ok" for verdict in verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
