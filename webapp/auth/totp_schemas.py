"""Bodies and answers of the second factor."""

from __future__ import annotations

from marshmallow import fields

from webapp.auth import schemas
from webapp.fields import Body, Text, View


class Code(Body):
    code = Text(40, required=True)


class Disable(Code):
    password = schemas.password()


class EnrolmentView(View):
    """`secret` for typing, `otpauth_uri` for an app, `qr_svg` for its camera."""

    secret = fields.String()
    otpauth_uri = fields.String()
    qr_svg = fields.String()


class RecoveryCodesView(View):
    recovery_codes = fields.List(fields.String())
