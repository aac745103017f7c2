"""What the commands' operations take and give."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from webapp.commands.states import STATUSES
from webapp.fields import Body, Identifier, Moment, OpenObject, Text, View, Whole
from webapp.listing import page_query

LONGEST_WORDS, LONGEST_ERROR = 1000, 2000
COMMAND_TYPE = validate.Regexp(
    r"[A-Za-z0-9][A-Za-z0-9._:-]*\Z", error="Must be a name such as proxmox.start: letters, digits and . _ : -"
)
COMMANDS = page_query(
    "queued_at",
    "status",
    "command_type",
    agent_id=Identifier(),
    status=fields.String(validate=validate.OneOf(STATUSES)),
)


class Action(Body):
    agent_id = Identifier(required=True)
    params = OpenObject()


class NewCommand(Body):
    agent_id = Identifier(required=True)
    command_type = Text(100, required=True, checks=[COMMAND_TYPE])
    payload = OpenObject()
    expires_in_seconds = Whole(10, 3600, load_default=300)
    offline = fields.String(
        load_default="fail_fast", validate=validate.OneOf(("fail_fast", "queue_until_expiry"))
    )


class Outcome(Body):
    status = fields.String(required=True, validate=validate.OneOf(("running", "succeeded", "failed")))
    result = fields.Raw(allow_none=True)
    error_message = Text(LONGEST_ERROR, low=0, allow_none=True)


class CommandView(View):
    NULLABLE = frozenset({"result", "error_message", "expires_at", "started_at", "completed_at", "created_by"})

    id = fields.UUID()
    tenant_id = fields.UUID()
    agent_id = fields.UUID()
    command_type = fields.String()
    status = fields.String()
    payload = fields.Dict()
    result = fields.Raw()
    error_message = fields.String()
    queued_at = Moment()
    expires_at = Moment()
    started_at = Moment()
    completed_at = Moment()
    created_by = fields.String()


class NextQuery(Body):
    agent_id = Identifier()
    timeout_ms = fields.Integer(load_default=25_000, validate=validate.Range(min=1000, max=60_000))


class EventsQuery(Body):
    agent_id = Identifier()
    last_event_id = fields.String(validate=validate.Length(max=50))


class SocketQuery(Schema):
    """For the document only: the socket reads what it knows of it, and passes over the rest."""

    agent_id = fields.String(metadata={"description": "The agent's own id; that of another is refused."})
    request_id = fields.String(metadata={"description": "The X-Request-ID of clients that cannot set headers."})
    token = fields.String(metadata={"description": "The bearer of clients that cannot set headers. Never logged."})


class InfraCall(Body):
    params = OpenObject()
