"""Every query of every dashboard finds something in a Prometheus that looks at the real thing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.watching.processes import Watcher, until

ROOT = Path(__file__).parents[3]
DECLARED = ROOT / "roles/monitoring/dashboards"
# What Grafana puts in, shorter than a person would have it: the data is only seconds old.
GRAFANA = {"$__rate_interval": "1m", "$__range": "1h"}
# Prometheus makes these itself, and knows no series of theirs until there was an alert.
ITS_OWN = {"ALERTS", "ALERTS_FOR_STATE"}
_NAME = re.compile(r"(?<![\w\"])((?:moorage|node|pg|probe|alertmanager)_\w+|ALERTS\w*)")


@dataclass(frozen=True)
class Asked:
    page: str
    panel: str
    legend: str
    query: str
    may_be_empty: bool

    def __str__(self) -> str:
        return f"{self.page}: {self.panel}: {self.legend}"


def asked() -> Iterator[Asked]:
    """Out of the written pages, with what their declarations excuse."""
    for path in sorted((ROOT / "roles/monitoring/files/dashboards").glob("*.json")):
        declared = {one["title"]: one for one in yaml.safe_load((DECLARED / f"{path.stem}.yml").read_text())["panels"]}
        page: dict[str, Any] = json.loads(path.read_text())
        for mark in page["annotations"]["list"]:
            yield Asked(path.stem, mark["name"], "", mark["expr"], may_be_empty=True)
        for panel in page["panels"]:
            for target in panel["targets"]:
                query = target["expr"]
                for word, stands_for in GRAFANA.items():
                    query = query.replace(word, stands_for)
                excused = bool(declared[panel["title"]].get("may_be_empty"))
                yield Asked(path.stem, panel["title"], target["legendFormat"], query, excused)


@pytest.mark.parametrize("one", list(asked()), ids=str)
def test_a_query_finds_something(watched: Watcher, one: Asked) -> None:
    known = set(watched.get("/api/v1/label/__name__/values")["data"]) | ITS_OWN
    assert set(_NAME.findall(one.query)) <= known, "nobody has a metric of this name"
    if not one.may_be_empty:
        until(lambda: watched.ask(one.query))


@pytest.mark.parametrize("one", list(asked()), ids=str)
def test_a_legend_names_labels_that_there_are(watched: Watcher, one: Asked) -> None:
    wanted = set(re.findall(r"\{\{(\w+)\}\}", one.legend))
    for series in watched.ask(one.query):
        assert wanted <= set(series["metric"]), series["metric"]


@pytest.mark.parametrize(
    "query", ["moorage_agent_online", 'sum by (state) (rate(moorage_commands_total{status="succeeded"}[1m]))']
)
def test_a_misspelt_name_or_label_finds_nothing(watched: Watcher, query: str) -> None:
    assert watched.ask(query) == []


def test_there_is_a_page_for_each_thing() -> None:
    pages = {one.page for one in asked()}
    assert pages == {"host", "control-plane", "database", "backups", "releases", "sla"}
