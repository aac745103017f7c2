"""Prometheus counters, and `/metrics`.

Each process of gunicorn answers for itself, so a scrape would see one worker at random. In `moorage serve`
PROMETHEUS_MULTIPROC_DIR is set before this module is imported; every worker then writes its numbers to a file
there, and whichever answers adds them all up. Without it (tests, one process) the plain registry answers.
"""

from __future__ import annotations

from flask import Flask, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client import REGISTRY as PLAIN
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.values import MutexValue, ValueClass

requests_total = Counter("moorage_http_requests", "Requests answered.", ["method", "route", "status"])
request_seconds = Histogram(
    "moorage_http_request_seconds",
    "Time until the answer began.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
dependency_up = Gauge(
    "moorage_dependency_up",
    "1 where the last readiness check of a dependency passed.",
    ["dependency"],
    multiprocess_mode="mostrecent",
)
open_sockets = Gauge("moorage_sockets_open", "Websockets that are open now.", multiprocess_mode="livesum")

agents_online = Gauge("moorage_agents_online", "Agents whose socket is open now.", multiprocess_mode="livesum")
commands_total = Counter("moorage_commands", "Commands that came to a state.", ["state"])
command_seconds = Histogram(
    "moorage_command_duration_seconds",
    "From being queued to the result.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)

SWITCHED = 101
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """One request. Invented methods count as one, or a stranger could make series without end."""
    requests_total.labels(method if method in _METHODS else "OTHER", route, str(status)).inc()
    if status != SWITCHED:  # a websocket's hours are no time to an answer
        request_seconds.labels(route).observe(seconds)


def forget_process(pid: int) -> None:
    """What a worker that ended had open is open no more; what it counted stays counted."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]  # the library's own omission


def exposition() -> bytes:
    """All numbers of all workers, in Prometheus' text format."""
    if ValueClass is MutexValue:
        return generate_latest(PLAIN)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's own omission
    return generate_latest(registry)


def register(app: Flask) -> None:
    @app.get("/metrics")
    def metrics() -> Response:
        return Response(exposition(), content_type=CONTENT_TYPE_LATEST)
