"""Releases and assignments. What a download goes through is in resolving.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.artifacts import rules
from webapp.artifacts.models import ArtifactObject, Assignment, Release
from webapp.artifacts.resolving import Depot, ResolutionNotFound
from webapp.artifacts.rules import ReleaseNotFound, ScopeMismatch
from webapp.audit import service as audit
from webapp.caller import Caller
from webapp.listing import Page, page_of

__all__ = ["Depot", "ResolutionNotFound", "rules"]

# Keys that begin like this are a tenant's whether it has released them or not: `moorage artifact publish` makes them.
TENANTS_KEYS = "tenants/"
RESOLVE_EVENTS = ("resolve_success", "resolve_denied", "resolve_error", "download_reported")


def create_release(session: Session, by: Caller | audit.Actor, given: Mapping[str, Any]) -> Release:
    """The new release. Its object need not be there yet; what is resolved must be."""
    _claim(session, by.tenant, given["object_key"])
    made = Release(tenant_id=by.tenant, **{**given, "sha256": given["sha256"].lower()})
    session.add(made)
    session.flush()
    session.refresh(made)
    details = {name: given[name] for name in ("module", "platform", "channel", "version", "sha256", "status")}
    audit.record(session, by, "release_created", subject=made.id, details=details)
    return made


def _claim(session: Session, tenant: UUID, key: str) -> None:
    """Note whose the key is, unless it is somebody's. Nobody is told: for others that object does not exist."""
    head, _, rest = key.partition("/")
    if f"{head}/" == TENANTS_KEYS and rest.partition("/")[0] != str(tenant):
        return
    session.execute(insert(ArtifactObject).values(object_key=key, tenant_id=tenant).on_conflict_do_nothing())


def release_of(session: Session, release_id: str | int) -> Release:
    """Raises ReleaseNotFound."""
    text = str(release_id)
    # A bigint has 19 digits; longer ones PostgreSQL would not take.
    found = session.get(Release, int(text)) if text.isascii() and text.isdigit() and len(text) < 19 else None
    if found is None:
        raise ReleaseNotFound
    return found


def change_release(session: Session, caller: Caller, release_id: str, status: str) -> Release:
    """Raises ReleaseNotFound."""
    release = release_of(session, release_id)
    before, release.status, release.updated_at = release.status, status, func.now()
    session.flush()
    session.refresh(release)
    details = {"from": before, "to": status}
    audit.record(session, caller, "release_changed", subject=release.id, details=details)
    return release


def list_releases(session: Session, asked: Mapping[str, Any]) -> Page:
    query = _filtered(select(Release), Release, asked, "module", "platform", "channel", "status")
    sortable = {"id": Release.id, "created_at": Release.created_at, "version": Release.version}
    searched = (Release.module, Release.version)
    return page_of(session, query, asked, sortable=sortable, searched=searched, tie=Release.id)


def assign(session: Session, by: Caller | audit.Actor, given: Mapping[str, Any]) -> Assignment:
    """The assignment, in place of one for the same user and scope. Raises ReleaseNotFound, ScopeMismatch."""
    release = release_of(session, given["release_id"])
    if any(getattr(release, name) != given[name] for name in ("module", "platform", "channel")):
        raise ScopeMismatch
    scope = ["tenant_id", "module", "platform", "channel", "user_id"]
    row = {"tenant_id": by.tenant, "user_id": None, **given}
    upsert = insert(Assignment).values(row).on_conflict_do_update(
        index_elements=scope, set_={"release_id": release.id, "updated_at": func.now()}
    )
    made = session.execute(upsert.returning(Assignment)).scalar_one()
    details = {name: row[name] for name in ("module", "platform", "channel", "user_id")}
    audit.record(session, by, "release_assigned", subject=release.id, details=details)
    return made


def list_assignments(session: Session, asked: Mapping[str, Any]) -> Page:
    query = _filtered(select(Assignment), Assignment, asked, "module", "platform", "user_id")
    sortable = {"id": Assignment.id, "module": Assignment.module}
    return page_of(session, query, asked, sortable=sortable, searched=(Assignment.module,), tie=Assignment.id)


def assigned(session: Session, user_id: str, module: str, scope: Mapping[str, str]) -> dict[str, Assignment | None]:
    """What the user has of their own, what everybody has, and which of the two counts."""
    query = select(Assignment).where(
        Assignment.module == module,
        Assignment.platform == scope["platform"],
        Assignment.channel == scope["channel"],
        (Assignment.user_id == user_id) | Assignment.user_id.is_(None),
    )
    found = {one.is_default: one for one in session.scalars(query)}
    own, default = found.get(False), found.get(True)
    return {"user_assignment": own, "default_assignment": default, "effective_assignment": own or default}


def attempts(session: Session, asked: Mapping[str, Any]) -> Page:
    """The audit table's rows about downloads, as clients of artifacts read them."""
    page = audit.events(session, asked, only=RESOLVE_EVENTS)
    flat = [
        {
            **event.details,
            **{name: getattr(event, name) for name in ("id", "tenant_id", "event", "result", "reason", "seq")},
            "user_id": event.actor,
            "client_address": event.address,
            "created_at": event.at,
        }
        for event in page.items
    ]
    return Page(flat, page.total, page.page, page.limit)


def _filtered(query: Select[Any], model: Any, asked: Mapping[str, Any], *names: str) -> Select[Any]:
    for name in names:
        if asked.get(name) is not None:
            query = query.where(getattr(model, name) == asked[name])
    return query
