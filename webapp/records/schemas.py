"""Bodies and answers of records. Records are open: beside what is named here they hold whatever a tenant keeps."""

from __future__ import annotations

from marshmallow import INCLUDE, Schema, fields, validate

from webapp.fields import Body, OpenView, Text, View
from webapp.listing import page_query
from webapp.records.lifecycle import FIRST, STATES
from webapp.records.paths import LONGEST_KEY_BYTES
from webapp.records.record import INDEXED
from webapp.records.searching import SORTABLE

RECORDS = page_query(*SORTABLE, status=Text(INDEXED), type=Text(INDEXED))
DAYS = Schema.from_dict({"from": fields.Date(), "to": fields.Date()}, name="Days")


class NewRecord(Body):
    """Whatever is kept. An `id` of the client's own has at most 768 bytes, and none of `. $ # [ ] /`."""

    class Meta:
        unknown = INCLUDE

    id = Text(LONGEST_KEY_BYTES)


class RecordChange(Body):
    """Fields in place of those before; null removes one."""

    class Meta:
        unknown = INCLUDE


class SettingsChange(Body):
    """Settings in place of those before; null removes one."""

    class Meta:
        unknown = INCLUDE


class RecordView(OpenView):
    """All that was given, with the record's id and its times in milliseconds since the epoch."""

    id = fields.String(required=True)
    created_at = fields.Integer(metadata={"format": "int64"})
    updated_at = fields.Integer(metadata={"format": "int64"})


class Transition(Body):
    to = fields.String(required=True, validate=validate.OneOf([state for state in STATES if state != FIRST]))
    reason = Text(500)


class Change(OpenView):
    """One change of state. Migrated ones have what they had."""


class LifecycleView(View):
    """`state` is one of those that a transition names, but for migrated bots that have not moved since."""

    state = fields.String(required=True)
    since = fields.Integer(metadata={"format": "int64"})
    history = fields.List(fields.Nested(Change), required=True)


class DayView(View):
    """What came and went on a day (UTC) in a currency."""

    date = fields.String(required=True)
    currency = fields.String()
    count = fields.Integer(required=True)
    income = fields.Float(required=True)
    expense = fields.Float(required=True)
    net = fields.Float(required=True)
