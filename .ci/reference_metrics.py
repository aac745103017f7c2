"""The page of the control plane's metrics, from the very objects that count."""

from __future__ import annotations

from prometheus_client.metrics import MetricWrapperBase

from webapp import metrics
from webapp.jobs.figures import QueueLength

PAGE = """# Metrics

Written by `make docs` from what the control plane counts; do not edit. `GET /metrics` answers in Prometheus' text
format, on the `app` network alone. Numbers of all workers of a process are added up; `api` and `sockets` are asked each
by itself. The worker has no address: what is to be known of its queue, the others look up.

| name | kind | labels | what |
|---|---|---|---|
"""
SUFFIXES = {"counter": "_total"}


def page() -> str:
    """Every metric of ours, by name."""
    counted = [made for made in vars(metrics).values() if isinstance(made, MetricWrapperBase)]
    rows = {_name(made): _row(made) for made in counted}
    looked_up = QueueLength.NAME
    rows[looked_up] = f"| `{looked_up}` | gauge | `state` | {QueueLength.WORDS} |"
    return PAGE + "\n".join(rows[name] for name in sorted(rows)) + "\n"


def _name(made: MetricWrapperBase) -> str:
    return f"{made._name}{SUFFIXES.get(str(made._type), '')}"


def _row(made: MetricWrapperBase) -> str:
    labels = ", ".join(f"`{name}`" for name in made._labelnames)
    return f"| `{_name(made)}` | {made._type} | {labels} | {made._documentation} |"
