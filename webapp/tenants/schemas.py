"""Bodies and answers of tenants and their members."""

from __future__ import annotations

from marshmallow import ValidationError, fields, validate, validates, validates_schema

from webapp.caller import ROLES
from webapp.fields import Body, Identifier, Moment, Text, View
from webapp.listing import page_query

_ROLE = validate.OneOf(ROLES)
MEMBERS = page_query("created_at", "user_id", "role", role=fields.String(validate=_ROLE))


class TenantChange(Body):
    name = Text(200, required=True)


class TenantView(View):
    id = fields.UUID()
    name = fields.String()
    created_at = Moment()


class NewMember(Body):
    """By their id (users of an outside issuer), or by the e-mail address of a user that is known here."""

    user_id = Identifier()
    email = Text(254)
    role = fields.String(required=True, validate=_ROLE)

    @validates("user_id")
    def _as_tokens_say_it(self, value: str, **_: object) -> None:
        if value != value.strip():
            raise ValidationError("Must not begin or end with white space: no token would ever name this user.")

    @validates_schema
    def _one(self, data: dict[str, str], **_: object) -> None:
        if ("user_id" in data) == ("email" in data):
            raise ValidationError("Send user_id or email, and not both.")


class RoleChange(Body):
    role = fields.String(required=True, validate=_ROLE)


class MemberView(View):
    user_id = fields.String()
    tenant_id = fields.UUID()
    role = fields.String()
    email = fields.String()
    created_at = Moment()
    updated_at = Moment()
