"""Laws of the alerts: each is tried, leads to a heading that says what to do, and asks for numbers that there are."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles/monitoring"
GROUPS: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROLE / "files/alerts").glob("*.yml"))
}
RULES = [(rule, group) for group in GROUPS.values() for rule in group["rules"]]
ALERTS = {rule["alert"]: (rule, group) for rule, group in RULES if "alert" in rule}
CASES = yaml.safe_load((ROOT / "tests/lab/alert_cases.yml").read_text())
# Of the exporters and of Prometheus itself.
OTHERS = re.compile(r"(node|pg|probe|up|alertmanager|prometheus)(_[a-z_]+)?")

every_alert = pytest.mark.parametrize("name", ALERTS)


def test_every_alert_has_its_cases_and_every_case_its_alert() -> None:
    assert set(CASES) == set(ALERTS)
    assert len(ALERTS) > 30


@every_alert
def test_its_runbook_link_leads_to_a_heading(name: str) -> None:
    _, group = ALERTS[name]
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / group["page"]).read_text(), re.MULTILINE)
    assert headings.count(name) == 1


def test_no_heading_speaks_of_an_alert_that_is_gone() -> None:
    pages = {group["page"] for group in GROUPS.values()}
    headings = {name for page in pages for name in re.findall(r"^## (\w+)$", (ROOT / "docs" / page).read_text(), re.M)}
    assert headings == set(ALERTS)


@every_alert
def test_it_says_what_happened_how_bad_it_is_and_by_which_number(name: str) -> None:
    rule, group = ALERTS[name]
    assert rule["severity"] in ("critical", "warning") or name == "Watchdog"
    assert rule["summary"] and rule["description"] and not rule["summary"].endswith(".")
    assert group["scope"] in ("host", "product", "database", "backup", "upkeep", "monitoring")
    numbers = set(rule) - {"alert", "expr", "for", "severity", "summary", "description"}
    assert {number for number in numbers if f"${number}" not in rule["expr"]} == set(), "a number that changes nothing"


def test_the_rules_ask_for_numbers_that_there_are() -> None:
    sys.path.insert(0, str(ROOT / ".ci"))
    try:
        import reference_metrics
    finally:
        sys.path.pop(0)
    known = set(re.findall(r"^\| `([a-z0-9_:]+)`", reference_metrics.page(), re.MULTILINE))
    unknown = set()
    for rule, _ in RULES:
        for name in re.findall(r"\b(moorage[a-z0-9_:]+|[a-z]+_[a-z_]+)\b(?=\{|\[| |$|\)| offset)", rule["expr"]):
            plain = re.sub(r"_(bucket|count|sum)$", "", name)
            if name.startswith("moorage"):
                unknown |= {name} - known if plain not in known else set()
            elif not OTHERS.fullmatch(name) and name not in ("predict_linear", "histogram_quantile", "max_over_time"):
                unknown.add(name)
    assert unknown == set()


def test_every_declared_file_of_metrics_says_of_each_what_it_is() -> None:
    declared = yaml.safe_load((ROLE / "meta/metrics.yml").read_text())
    assert all(one["what"].endswith(".") for metrics in declared.values() for one in metrics.values())
