"""Health, exactly as the contract says it: live asks nothing, ready asks everything, health tells the rest."""

from __future__ import annotations

from flask import Blueprint, Response

from webapp.caller import PUBLIC
from webapp.collaborators import collaborators
from webapp.health.schemas import HealthView, LiveView, ReadyView
from webapp.health.service import DATABASE, STORE
from webapp.metrics import dependency_up
from webapp.operation import Call, operation
from webapp.responses import rfc3339, success

SERVICE = "moorage"

_NOW, _UP = "2026-11-20T20:00:00.000Z", {"status": "up", "latency_ms": 1.8}
_DOWN = {"status": "down", "latency_ms": 1200.4, "error": "no answer within the time-out"}
LIVE = {"service": SERVICE, "timestamp": _NOW, "status": "live"}
READY = {"status": "ready", "ready": True, "checks": {DATABASE: _UP, STORE: _UP}, "timestamp": _NOW}
NOT_READY = {**READY, "status": "not-ready", "ready": False, "checks": {DATABASE: _UP, STORE: _DOWN}}
HEALTH = {
    "service": SERVICE, "version": "1.4.2", "timestamp": _NOW, "data_backend": "supabase", "supabase_ready": True,
    "s3_ready": True, "supabase_configured": True, "s3_configured": True, "uptime_seconds": 86400.5,
}  # fmt: skip

health = Blueprint("health", __name__, url_prefix="/api/v1/health")


@operation(health, "GET /live", summary="Is the process alive?", allow=PUBLIC, answer=LiveView, transacted=False,
           probe=True, answer_example=LIVE)  # fmt: skip
def live(_call: Call) -> Response:
    """Asks neither the database nor the object store, so it tells whether to restart the process, and no more."""
    return success({"service": SERVICE, "timestamp": rfc3339(), "status": "live"})


@operation(health, "GET /ready", summary="Do database and object store answer?", allow=PUBLIC, answer=ReadyView,
           transacted=False, probe=True, answer_example=READY, also={503: NOT_READY})  # fmt: skip
def ready(_call: Call) -> Response:
    """Each with a time-out of its own and its latency; the database's tables must be those that this code works with.
    Where it says 503, the body is a success's all the same: what is down is in `checks`."""
    outcomes = collaborators().health.outcomes()
    for name, outcome in outcomes.items():
        dependency_up.labels(name).set(outcome.up)
    good = all(outcome.up for outcome in outcomes.values())
    body = {
        "status": "ready" if good else "not-ready",
        "ready": good,
        "checks": {name: outcome.view() for name, outcome in outcomes.items()},
        "timestamp": rfc3339(),
    }
    return success(body, status=200 if good else 503)


@operation(health, "GET ", summary="Version, uptime and data backend", allow=PUBLIC, answer=HealthView,
           transacted=False, probe=True, answer_example=HEALTH)  # fmt: skip
def summary(_call: Call) -> Response:
    """Always 200 while the process answers; `supabase_ready` and `s3_ready` say what is up."""
    its = collaborators()
    outcomes = its.health.outcomes()
    return success(
        {
            "service": SERVICE,
            "version": its.settings.moorage_version,
            "timestamp": rfc3339(),
            "data_backend": its.settings.data_backend,
            "supabase_ready": outcomes[DATABASE].up,
            "s3_ready": outcomes[STORE].up,
            # Both are required settings: a process without them does not start.
            "supabase_configured": True,
            "s3_configured": True,
            "uptime_seconds": its.health.uptime_seconds(),
        }
    )
