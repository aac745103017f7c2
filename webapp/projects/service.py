"""What can be done with projects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.audit import service as audit
from webapp.caller import Caller
from webapp.errors import MoorageError
from webapp.finding import found
from webapp.listing import Page, page_of
from webapp.projects.models import Project

SORTABLE = {"created_at": Project.created_at, "updated_at": Project.updated_at, "name": Project.name}


class ProjectNotFound(MoorageError):
    status, code, message = 404, "PROJECT_NOT_FOUND", "There is no such project."


class ProjectExists(MoorageError):
    status, code, message = 409, "PROJECT_EXISTS", "The tenant has a project of this name already."


def create(session: Session, caller: Caller, given: Mapping[str, Any]) -> Project:
    """A new project. Raises ProjectExists."""
    made = Project(id=uuid4(), tenant_id=caller.tenant, **given)
    session.add(made)
    _written(session)
    audit.record(session, caller, "project_created", subject=made.id, details={"name": made.name})
    return made


def project_of(session: Session, project_id: str) -> Project:
    """Raises ProjectNotFound."""
    return found(session, Project, project_id, ProjectNotFound)


def projects(session: Session, asked: Mapping[str, Any]) -> Page:
    searched = (Project.name, Project.description)
    return page_of(session, select(Project), asked, sortable=SORTABLE, searched=searched, tie=Project.id)


def change(session: Session, caller: Caller, project_id: str, given: Mapping[str, Any]) -> Project:
    """Raises ProjectNotFound, ProjectExists."""
    project = found(session, Project, project_id, ProjectNotFound, lock=True)
    for name, value in given.items():
        setattr(project, name, value)
    project.updated_at = func.now()
    _written(session)
    audit.record(session, caller, "project_changed", subject=project.id, details={"fields": sorted(given)})
    return project


def delete(session: Session, caller: Caller, project_id: str) -> dict[str, Any]:
    """`{id, deleted}`. Raises ProjectNotFound."""
    project = found(session, Project, project_id, ProjectNotFound, lock=True)
    session.delete(project)
    audit.record(session, caller, "project_deleted", subject=project.id, details={"name": project.name})
    return {"id": str(project.id), "deleted": True}


def _written(session: Session) -> None:
    """The index decides, also between two that come at once."""
    try:
        session.flush()
    except IntegrityError:
        raise ProjectExists from None
