"""Bodies and answers of identity."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields, validate

from webapp.fields import Body, Identifier, Moment, Text, View
from webapp.listing import page_query


class VerifyView(View):
    valid = fields.Boolean()


class WhoamiView(View):
    """`email` is the user's id where there is none."""

    uid = fields.String()
    email = fields.String()
    roles = fields.List(fields.String())
    tenant_id = fields.UUID()


def password() -> fields.String:
    """One that is given; what a new one must be, passwords.py says."""
    return fields.String(required=True, validate=validate.Length(min=1, max=200))


class Login(Body):
    email = Text(254, required=True)
    password = password()
    totp = Text(40)
    tenant_id = Identifier()


class Refresh(Body):
    refresh_token = Text(300, required=True)


class TokensView(View):
    """`expires_in`: seconds that the access token lives."""

    access_token = fields.String()
    refresh_token = fields.String()
    expires_in = fields.Integer()


class EndedView(View):
    ended = fields.Integer()


class SessionView(View):
    id = fields.UUID()
    user_id = fields.String()
    kind = fields.String()
    email = fields.String()
    address = fields.String()
    user_agent = fields.String()
    created_at = Moment()
    last_used_at = Moment()
    expires_at = Moment()
    revoked_at = Moment()


SESSIONS = page_query("created_at", "last_used_at", "expires_at")


class SignInBegin(Schema):
    """What else a page adds is of no interest here."""

    class Meta:
        unknown = EXCLUDE

    tenant_id = Identifier()


class SignInEnd(Schema):
    """Providers add what they like."""

    class Meta:
        unknown = EXCLUDE

    state = Text(2000, required=True)
    code = Text(2000)
    error = Text(200)
