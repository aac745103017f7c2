"""Health, exactly as the contract says it: live asks nothing, ready asks everything, health tells the rest."""

from __future__ import annotations

from flask import Blueprint, Response

from webapp.collaborators import collaborators
from webapp.health.service import DATABASE, STORE
from webapp.metrics import dependency_up
from webapp.responses import rfc3339, success

SERVICE = "moorage"

health = Blueprint("health", __name__, url_prefix="/api/v1/health")


@health.get("/live")
def live() -> Response:
    return success({"service": SERVICE, "timestamp": rfc3339(), "status": "live"})


@health.get("/ready")
def ready() -> Response:
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


@health.get("")
def summary() -> Response:
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
