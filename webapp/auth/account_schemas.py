"""Bodies and answers of registering and of passwords."""

from __future__ import annotations

from marshmallow import fields

from webapp.auth import schemas
from webapp.fields import Body, Text, View


class Registration(Body):
    email = Text(254, required=True)
    password = schemas.password()
    name = Text(200)


class Address(Body):
    email = Text(254, required=True)


class Verification(Body):
    """`tenant_name`: what the new user's own tenant is to be called."""

    token = Text(200, required=True)
    tenant_name = Text(200)


class Reset(Body):
    token = Text(200, required=True)
    password = schemas.password()


class PasswordChange(Body):
    current_password = schemas.password()
    password = schemas.password()


class VerifiedView(View):
    """`tenant_id`: of the tenant that was made for the user."""

    verified = fields.Boolean()
    tenant_id = fields.UUID()
