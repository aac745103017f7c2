"""Bodies and answers of API keys."""

from __future__ import annotations

from marshmallow import fields, validate

from webapp.auth.keys import GRACE_SECONDS, LONGEST_GRACE_SECONDS
from webapp.caller import SCOPES
from webapp.fields import Body, Moment, Text, View, Whole
from webapp.listing import page_query

KEYS = page_query("created_at", "name", "last_used_at")


class NewKey(Body):
    name = Text(200, required=True)
    scopes = fields.List(
        fields.String(validate=validate.OneOf(SCOPES)), required=True, validate=validate.Length(min=1, max=len(SCOPES))
    )
    expires_at = Moment()


class Rotate(Body):
    grace_seconds = Whole(0, LONGEST_GRACE_SECONDS, load_default=GRACE_SECONDS)


class KeyView(View):
    """`uses` and `last_used_at` are a few seconds late. `previous_until`: until then the token before works too."""

    id = fields.UUID()
    tenant_id = fields.UUID()
    owner_id = fields.String()
    name = fields.String()
    scopes = fields.List(fields.String())
    uses = fields.Integer()
    last_used_at = Moment()
    last_address = fields.String()
    previous_until = Moment()
    created_at = Moment()
    expires_at = Moment()
    revoked_at = Moment()


class ShownKeyView(KeyView):
    """With the token, this once."""

    token = fields.String()
