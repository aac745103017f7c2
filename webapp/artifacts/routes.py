"""Releases, assignments, and the way to a download."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from webapp.access import client_address
from webapp.artifacts import resolving, rules, service
from webapp.artifacts import schemas as s
from webapp.artifacts.models import Assignment, Release
from webapp.audit.service import EVENTS
from webapp.caller import Forbidden, anyone, managers, members
from webapp.collaborators import collaborators
from webapp.errors import StorageError, StorageUnavailable
from webapp.licensing.service import lease_tokens
from webapp.listing import Page
from webapp.operation import Call, admit, operation

artifacts = Blueprint("artifacts", __name__, url_prefix="/api/v1/artifacts")

READ, WRITE = managers("artifacts:read"), managers("artifacts:write")
RESOLVER = members("artifacts:resolve")
UNKNOWN = (rules.ReleaseNotFound,)


@operation(artifacts, "POST /releases", summary="Create a release of an object in the bucket", allow=WRITE,
           body=s.NewRelease, answer=s.ReleaseView, status=201, creates=True)  # fmt: skip
def create_release(call: Call) -> Release:
    return service.create_release(call.session, call.caller, call.body)


@operation(artifacts, "GET /releases", summary="List releases", allow=anyone("artifacts:read"), query=s.RELEASES,
           answer=[s.ReleaseView])  # fmt: skip
def releases(call: Call) -> Page:
    return service.list_releases(call.session, call.query)


@operation(artifacts, "GET /releases/<release_id>", summary="A release", allow=anyone("artifacts:read"),
           answer=s.ReleaseView, raises=UNKNOWN)  # fmt: skip
def release_of(call: Call, release_id: str) -> Release:
    return service.release_of(call.session, release_id)


@operation(artifacts, "PATCH /releases/<release_id>", summary="Change a release's status", allow=WRITE,
           body=s.ReleaseChange, answer=s.ReleaseView, raises=UNKNOWN)  # fmt: skip
def change_release(call: Call, release_id: str) -> Release:
    return service.change_release(call.session, call.caller, release_id, call.body["status"])


@operation(artifacts, "POST /assign", summary="Assign a release to a user, or to everybody", allow=WRITE,
           body=s.NewAssignment, answer=s.AssignmentView, status=201, creates=True,
           raises=(*UNKNOWN, rules.ScopeMismatch))  # fmt: skip
def assign(call: Call) -> Assignment:
    return service.assign(call.session, call.caller, call.body)


@operation(artifacts, "GET /assignments", summary="List assignments", allow=READ, query=s.ASSIGNMENTS,
           answer=[s.AssignmentView])  # fmt: skip
def assignments(call: Call) -> Page:
    return service.list_assignments(call.session, call.query)


@operation(artifacts, "GET /assign/<user_id>/<module>", summary="What a user gets of a module", allow=READ,
           query=s.Scope, answer=s.Assigned)  # fmt: skip
def assigned(call: Call, user_id: str, module: str) -> dict[str, Assignment | None]:
    return service.assigned(call.session, user_id, module, call.query)


@operation(artifacts, "POST /resolve-download", summary="A URL for the artifact that a lease allows", allow=RESOLVER,
           body=s.Resolve, answer=s.Resolved, transacted=False, vouched=False,
           raises=(*rules.EVERY, StorageUnavailable, StorageError))  # fmt: skip
def resolve_download(call: Call) -> dict[str, Any]:
    """Every attempt leaves one row in the audit table before its answer leaves."""
    depot, credential = collaborators().depot, call.presented
    attempt = resolving.begin(depot, credential, call.body)
    try:
        caller = admit(RESOLVER, credential, attempt.row)
    except Forbidden as refusal:
        caller = resolving.caller_of(credential, attempt, client_address())
        resolving.refused(depot, caller, attempt, refusal)
        raise
    return resolving.finish(depot, caller, attempt)


@operation(artifacts, "POST /report-download", summary="Say what became of a download", allow=RESOLVER, body=s.Report,
           answer=s.Reported, raises=(lease_tokens.LeaseTokenInvalid, resolving.ResolutionNotFound))  # fmt: skip
def report_download(call: Call) -> dict[str, str]:
    return resolving.report(call.session, call.caller, collaborators().settings.lease_keys, call.body)


@operation(artifacts, "GET /audit", summary="Every attempt to download, and what became of it", allow=READ,
           query=EVENTS, answer=[s.AttemptView])  # fmt: skip
def attempts(call: Call) -> Page:
    return service.attempts(call.session, call.query)
