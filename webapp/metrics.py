"""Prometheus counters, and `/metrics`.

Each process of gunicorn answers for itself, so a scrape would see one worker at random. In `moorage serve`
PROMETHEUS_MULTIPROC_DIR is set before this module is imported; every worker then writes its numbers to a file
there, and whichever answers adds them all up. Without it (tests, one process) the plain registry answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.values import MutexValue, ValueClass

Collect = Callable[[], Iterable[Metric]]

requests_total = Counter("moorage_http_requests", "Requests answered.", ["method", "route", "status"])
request_seconds = Histogram(
    "moorage_http_request_duration_seconds",
    "Time until the answer began.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
query_seconds = Histogram(
    "moorage_db_query_duration_seconds",
    "From sending a statement to its answer.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
connections_in_use = Gauge(
    "moorage_db_connections_in_use", "Connections that a request holds just now.", multiprocess_mode="livesum"
)
signature_failures = Counter(
    "moorage_signature_failures", "Tokens whose signature or form was wrong: not those that are merely old.", ["kind"]
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

shadow_reads = Counter(
    "moorage_records_shadowed", "Reads of records that both stores were asked, and writes that one failed.", ["result"]
)

SWITCHED = 101
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """One request. Invented methods count as one, or a stranger could make series without end."""
    requests_total.labels(method if method in _METHODS else "OTHER", route, str(status)).inc()
    if status != SWITCHED:  # a websocket's hours are no time to an answer
        request_seconds.labels(route).observe(seconds)


class Meter:
    """What a Database tells of its work."""

    def took(self, seconds: float, statement: str) -> None:
        """A statement was answered."""
        query_seconds.observe(seconds)

    def held(self, change: int) -> None:
        """A connection was taken from the pool (1), or given back (-1)."""
        connections_in_use.inc(change)


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


class _Asked:
    """What is looked up when somebody asks, and is the same in every process."""

    def __init__(self, collect: Collect) -> None:
        self.collect = collect


def register(app: Flask, *asked: Collect) -> None:
    """`asked` are looked up for each answer."""
    further = CollectorRegistry()
    for collect in asked:
        further.register(_Asked(collect))

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(exposition() + generate_latest(further), content_type=CONTENT_TYPE_LATEST)
