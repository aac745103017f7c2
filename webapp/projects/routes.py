"""Projects: every role looks, admin and infra change."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from webapp.caller import anyone, managers
from webapp.fields import Gone
from webapp.listing import Page
from webapp.operation import Call, operation
from webapp.projects import schemas as s
from webapp.projects import service
from webapp.projects.models import Project
from webapp.projects.service import ProjectExists, ProjectNotFound

projects = Blueprint("projects", __name__, url_prefix="/api/v1/projects")

READ, WRITE = anyone("records:read"), managers("records:write")


@operation(projects, "POST ", summary="Create a project", allow=WRITE, body=s.NewProject, answer=s.ProjectView,
           status=201, creates=True, raises=(ProjectExists,), example={"name": "Web shop"})  # fmt: skip
def create(call: Call) -> Project:
    return service.create(call.session, call.caller, call.body)


@operation(projects, "GET ", summary="List projects", allow=READ, query=s.PROJECTS, answer=[s.ProjectView])
def listed(call: Call) -> Page:
    return service.projects(call.session, call.query)


@operation(projects, "GET /<project_id>", summary="A project", allow=READ, answer=s.ProjectView,
           raises=(ProjectNotFound,))  # fmt: skip
def project_of(call: Call, project_id: str) -> Project:
    return service.project_of(call.session, project_id)


@operation(projects, "PATCH /<project_id>", summary="Rename or describe a project", allow=WRITE, body=s.ProjectChange,
           answer=s.ProjectView, raises=(ProjectNotFound, ProjectExists))  # fmt: skip
def change(call: Call, project_id: str) -> Project:
    return service.change(call.session, call.caller, project_id, call.body)


@operation(projects, "DELETE /<project_id>", summary="Delete a project", allow=WRITE, answer=Gone,
           raises=(ProjectNotFound,))  # fmt: skip
def delete(call: Call, project_id: str) -> dict[str, Any]:
    return service.delete(call.session, call.caller, project_id)
