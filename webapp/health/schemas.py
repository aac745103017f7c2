"""What health answers."""

from __future__ import annotations

from marshmallow import fields

from webapp.fields import View


class LiveView(View):
    service = fields.String()
    timestamp = fields.String()
    status = fields.String()


class ReadyView(View):
    """`checks` by name of the dependency: `{status, latency_ms, error?}`. Where `ready` is false, the status is 503."""

    status = fields.String()
    ready = fields.Boolean()
    checks = fields.Dict()
    timestamp = fields.String()


class HealthView(View):
    service = fields.String()
    version = fields.String()
    timestamp = fields.String()
    data_backend = fields.String()
    supabase_ready = fields.Boolean()
    s3_ready = fields.Boolean()
    supabase_configured = fields.Boolean()
    s3_configured = fields.Boolean()
    uptime_seconds = fields.Float()
