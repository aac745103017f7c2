"""Bodies and answers of artifacts."""

from __future__ import annotations

from marshmallow import fields, validate

from webapp.artifacts.models import STATUSES
from webapp.fields import LARGEST_EXACT, Body, Identifier, Millis, Moment, Text, View, Whole
from webapp.licensing import service as licensing
from webapp.listing import page_query

OUTCOMES = ("verified", "mismatch", "failed")
VM_UUID = validate.Regexp(licensing.VM_UUID, error="8 to 128 of A-Z a-z 0-9 : _ -")
SHA256 = validate.Regexp(r"\A[0-9a-fA-F]{64}\Z", error="64 hexadecimal digits")


class NewRelease(Body):
    module = Text(200, required=True)
    platform = Text(100, required=True)
    channel = Text(100, load_default="stable")
    version = Text(100, required=True)
    object_key = Text(1024, required=True)
    sha256 = fields.String(required=True, validate=SHA256)
    size_bytes = Whole(1, LARGEST_EXACT, required=True)
    status = fields.String(load_default="active", validate=validate.OneOf(STATUSES))


class ReleaseChange(Body):
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))


class ReleaseView(View):
    id = fields.Integer()
    tenant_id = fields.UUID()
    module = fields.String()
    platform = fields.String()
    channel = fields.String()
    version = fields.String()
    object_key = fields.String()
    sha256 = fields.String()
    size_bytes = fields.Integer()
    status = fields.String()
    created_at = Moment()
    updated_at = Moment()


class NewAssignment(Body):
    user_id = Text(200)
    module = Text(200, required=True)
    platform = Text(100, required=True)
    channel = Text(100, load_default="stable")
    release_id = Whole(1, LARGEST_EXACT, required=True)


class AssignmentView(View):
    NULLABLE = frozenset({"user_id"})

    id = fields.Integer()
    tenant_id = fields.UUID()
    module = fields.String()
    platform = fields.String()
    channel = fields.String()
    user_id = fields.String()
    release_id = fields.Integer()
    is_default = fields.Boolean()


class Scope(Body):
    """The query of what is assigned. The platform most customers have is the default."""

    platform = fields.String(load_default="windows", validate=validate.Length(min=1, max=100))
    channel = fields.String(load_default="stable", validate=validate.Length(min=1, max=100))


class Assigned(View):
    NULLABLE = frozenset({"user_assignment", "default_assignment", "effective_assignment"})

    user_assignment = fields.Nested(AssignmentView)
    default_assignment = fields.Nested(AssignmentView)
    effective_assignment = fields.Nested(AssignmentView)


class Resolve(Body):
    lease_token = fields.String(required=True, validate=validate.Length(max=4096))
    vm_uuid = fields.String(required=True, validate=VM_UUID)
    module = Text(200, required=True)
    platform = Text(100, required=True)
    channel = Text(100, load_default="stable")


class Resolved(View):
    download_url = fields.String()
    url_expires_at = fields.Integer()
    release_id = fields.Integer()
    version = fields.String()
    sha256 = fields.String()
    size_bytes = fields.Integer()
    resolution_id = fields.String()


class Report(Body):
    resolution_id = Identifier(required=True)
    lease_token = fields.String(required=True, validate=validate.Length(max=4096))
    outcome = fields.String(required=True, validate=validate.OneOf(OUTCOMES))
    bytes = Whole(0, LARGEST_EXACT)
    error = Text(1000, low=0)


class Reported(View):
    resolution_id = fields.String()
    outcome = fields.String()


class AttemptView(View):
    """A row of the audit table that is about a download."""

    id = fields.Integer()
    tenant_id = fields.UUID()
    event = fields.String()
    result = fields.String()
    reason = fields.String()
    user_id = fields.String()
    vm_uuid = fields.String()
    lease_id = fields.String()
    module = fields.String()
    platform = fields.String()
    channel = fields.String()
    release_id = fields.Integer()
    version = fields.String()
    client_address = fields.String()
    resolution_id = fields.String()
    outcome = fields.String()
    bytes = fields.Integer()
    error = fields.String()
    url_expires_at = fields.Integer()
    created_at = Millis()
    seq = fields.Integer()


RELEASES = page_query(
    "id", "created_at", "version", module=Text(200), platform=Text(100), channel=Text(100),
    status=fields.String(validate=validate.OneOf(STATUSES)),
)  # fmt: skip
ASSIGNMENTS = page_query("id", "module", module=Text(200), platform=Text(100), user_id=Text(200))
