"""What the audit log's list takes and gives."""

from __future__ import annotations

from marshmallow import fields

from webapp.fields import Moment, View


class EventView(View):
    """`seq` and `digest` stand there once the event is sealed into the tenant's chain."""

    id = fields.Integer()
    at = Moment()
    event = fields.String()
    result = fields.String()
    reason = fields.String()
    actor = fields.String()
    actor_kind = fields.String()
    subject = fields.String()
    address = fields.String()
    request_id = fields.String()
    details = fields.Dict()
    seq = fields.Integer()
