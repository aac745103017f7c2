"""An audit that could not ask is no clean bill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from shipping.audits import FOUND, OK, UNASKED, Verdict, accepted, npm_verdict, pip_verdict

ROOT = Path(__file__).resolve().parents[3]
CLEAN = {"name": "flask", "version": "3.1.2", "vulns": []}
ILL = {"name": "flask", "version": "0.5", "vulns": [{"id": "PYSEC-2019-179", "fix_versions": ["1.0"], "aliases": []}]}
COUNTS = {"info": 0, "low": 0, "moderate": 0, "high": 0, "critical": 0, "total": 0}


def pip_report(*packages: dict[str, object]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def npm_report(**severities: str) -> str:
    found = {name: {"severity": severity, "range": "<2"} for name, severity in severities.items()}
    counts = {**COUNTS, **dict.fromkeys(severities.values(), 1)}
    return json.dumps({"auditReportVersion": 2, "vulnerabilities": found, "metadata": {"vulnerabilities": counts}})


@pytest.mark.parametrize(
    ("code", "out", "word"),
    [
        (0, pip_report(CLEAN), OK),
        (1, pip_report(CLEAN, ILL), FOUND),
        (0, pip_report(ILL), FOUND),
        (1, "", UNASKED),
        (0, "", UNASKED),
        (0, pip_report(), UNASKED),
        (0, pip_report(CLEAN, {"name": "own", "skip_reason": "not on the index"}), UNASKED),
        (1, pip_report(CLEAN), UNASKED),
    ],
)
def test_what_pip_audit_says(code: int, out: str, word: str) -> None:
    assert pip_verdict(code, out, "ERROR: no route\n").word == word


def test_a_finding_names_the_package_the_number_and_the_cure() -> None:
    assert pip_verdict(1, pip_report(ILL), "").lines == ("flask 0.5: PYSEC-2019-179, mended in 1.0",)
    assert npm_verdict(1, npm_report(vite="high"), "").lines == ("vite: high, <2",)


@pytest.mark.parametrize(
    ("code", "out", "word"),
    [
        (0, npm_report(), OK),
        (0, npm_report(vite="moderate"), OK),
        (1, npm_report(vite="critical"), FOUND),
        (1, json.dumps({"message": "405 Method Not Allowed", "error": {}}), UNASKED),
        (0, json.dumps({"message": "405 Method Not Allowed", "error": {}}), UNASKED),
        (1, "npm error network", UNASKED),
        (1, npm_report(), UNASKED),
    ],
)
def test_what_npm_says(code: int, out: str, word: str) -> None:
    assert npm_verdict(code, out, "").word == word


def test_why_nobody_could_be_asked_is_passed_on() -> None:
    assert pip_verdict(1, "", "a\nb\nc\nno route\n") == Verdict(UNASKED, ("b", "c", "no route"))


def test_what_is_accepted_is_a_number_on_a_line_of_its_own() -> None:
    assert accepted("# why\nCVE-2026-1\n\n  PYSEC-2026-2 \n") == ["CVE-2026-1", "PYSEC-2026-2"]


def test_a_machine_without_a_network_has_audited_nothing(tmp_path: Path) -> None:
    nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "npm_config_registry"), "http://127.0.0.1:9")
    # An answer of a quarter of an hour ago would be taken for one of now.
    caches = {"PIP_CACHE_DIR": str(tmp_path / "pip"), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/audit.py"],
        env={**os.environ, **nowhere, **caches, "NO_PROXY": "", "no_proxy": "", "npm_config_fetch_retries": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    verdicts = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert done.returncode == 1, done.stderr
    assert len(verdicts) == 5 and all(UNASKED in line for line in verdicts), done.stdout
