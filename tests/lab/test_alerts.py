"""Every rule fires when it should and only then, as Prometheus' own tool says; no host is needed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.lab.promtool import CASES, promtool, rules, unit_tests


@pytest.fixture
def folder(tmp_path: Path, render) -> Path:
    (tmp_path / "rules.yml").write_text(rules(render))
    for name, tests in unit_tests().items():
        (tmp_path / name).write_text(yaml.safe_dump(tests, sort_keys=False, width=1000))
    tmp_path.chmod(0o755)
    return tmp_path


def test_every_alert_fires_when_it_should_and_only_then(folder: Path):
    code, said = promtool(folder, "test", "rules", *unit_tests())
    assert code == 0, said


@pytest.mark.parametrize(
    ("right", "wrong"), [("for: 26h", "for: 28h"), ("> 26 *", "> 28 *"), ("moorage_audit_findings", "nothing")]
)
def test_the_cases_can_fail(folder: Path, right: str, wrong: str):
    """A rule that is wrong in its time, its number or its series is found."""
    text = (folder / "rules.yml").read_text()
    assert right in text
    (folder / "rules.yml").write_text(text.replace(right, wrong))
    code, said = promtool(folder, "test", "rules", "tests-1h.yml")
    assert code != 0 and "FAILED" in said


def test_every_alert_has_a_case_that_fires_and_but_for_the_watchdog_one_that_does_not():
    for name, cases in CASES.items():
        wanted = {1} if name == "Watchdog" else {0, 1}
        assert {case["firing"] for case in cases} == wanted, name
