"""Bodies and answers of projects."""

from __future__ import annotations

from marshmallow import ValidationError, fields, validates_schema

from webapp.fields import Body, Moment, Text, View
from webapp.listing import page_query

PROJECTS = page_query("created_at", "updated_at", "name")


class NewProject(Body):
    name = Text(200, required=True)
    description = Text(2000, low=0)


class ProjectChange(Body):
    name = Text(200)
    description = Text(2000, low=0)

    @validates_schema
    def _something(self, data: dict[str, str], **_: object) -> None:
        if not data:
            raise ValidationError("Nothing to change: send name or description.")


class ProjectView(View):
    id = fields.UUID()
    tenant_id = fields.UUID()
    name = fields.String()
    description = fields.String()
    created_at = Moment()
    updated_at = Moment()
