"""The tenant's audit log."""

from __future__ import annotations

from flask import Blueprint

from webapp.audit import service
from webapp.audit.schemas import EventView
from webapp.caller import managers
from webapp.listing import Page
from webapp.operation import Call, operation

audit = Blueprint("audit", __name__, url_prefix="/api/v1/audit")


@operation(
    audit,
    "GET ",
    summary="List the tenant's events",
    allow=managers("ops:read"),
    query=service.EVENTS,
    answer=[EventView],
)
def events(call: Call) -> Page:
    return service.events(call.session, call.query)
