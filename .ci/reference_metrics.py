"""The page of the metrics: the control plane's from the very objects that count, the host's from their declaration."""

from __future__ import annotations

from pathlib import Path

import yaml
from prometheus_client.metrics import MetricWrapperBase

from webapp import metrics
from webapp.jobs.figures import QueueLength

ROOT = Path(__file__).parents[1]
DECLARED = ROOT / "roles/monitoring/meta/metrics.yml"
ALERTS = ROOT / "roles/monitoring/files/alerts"
PAGE = """# Metrics

Written by `make docs` from what counts and from `roles/monitoring/meta/metrics.yml`; do not edit.

## Of the control plane

`GET /metrics` answers in Prometheus' text format, on the `app` network alone. Numbers of all workers of a process are
added up; `api` and `sockets` are asked each by itself, and carry the labels `service` and `slot`: the product is all of
them together. The worker has no address: what is to be known of its queue, the others look up.

| name | kind | labels | what |
|---|---|---|---|
"""
HOST = """
## Of the host

Files in `metrics/` of the stack's folder, each replaced whole by its one writer; all are gauges.

| name | labels | file | what |
|---|---|---|---|
"""
RECORDED = """
## Computed

By Prometheus itself, with every look.

| name | from |
|---|---|
"""
SUFFIXES = {"counter": "_total"}


def page() -> str:
    """Every metric of ours, by name."""
    counted = [made for made in vars(metrics).values() if isinstance(made, MetricWrapperBase)]
    rows = {_name(made): _row(made) for made in counted}
    looked_up = QueueLength.NAME
    rows[looked_up] = f"| `{looked_up}` | gauge | `state` | {QueueLength.WORDS} |"
    return PAGE + _lines(rows) + HOST + _lines(_host_rows()) + RECORDED + _lines(_recorded_rows())


def _lines(rows: dict[str, str]) -> str:
    return "".join(f"{rows[name]}\n" for name in sorted(rows))


def _name(made: MetricWrapperBase) -> str:
    return f"{made._name}{SUFFIXES.get(str(made._type), '')}"


def _row(made: MetricWrapperBase) -> str:
    return f"| `{_name(made)}` | {made._type} | {_labels(list(made._labelnames))} | {made._documentation} |"


def _labels(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _host_rows() -> dict[str, str]:
    return {
        name: f"| `{name}` | {_labels(one.get('labels', []))} | `{file}` | {one['what']} |"
        for file, declared in yaml.safe_load(DECLARED.read_text()).items()
        for name, one in declared.items()
    }


def _recorded_rows() -> dict[str, str]:
    rules = [rule for path in ALERTS.glob("*.yml") for rule in yaml.safe_load(path.read_text())["rules"]]
    recorded = {rule["record"]: rule["expr"] for rule in rules if "record" in rule}
    return {name: f"| `{name}` | `{expr.strip()}` |" for name, expr in recorded.items()}
