"""What the secrets' operations take and give. Ciphertext goes in, and comes out for agents only."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from webapp.fields import Body, Identifier, Moment, OpenObject, Text, View, Whole
from webapp.listing import page_query
from webapp.vaulting.models import AES, ALGORITHMS, SCOPES

# A private key of 16 Kbit with its chain fits; what is larger is a file, and not a secret.
LARGEST_CIPHERTEXT = 131_072
LARGEST_VERSION = 2**31 - 1
MOST_PATHS = 200


class NewSecret(Body):
    label = Text(200, required=True)
    ciphertext = Text(LARGEST_CIPHERTEXT, required=True)
    alg = fields.String(validate=validate.OneOf(ALGORITHMS), load_default=AES)
    key_id = Text(200, required=True)
    nonce = Text(200, required=True)
    aad_meta = OpenObject()


class Rotation(Body):
    ciphertext = Text(LARGEST_CIPHERTEXT, required=True)
    alg = fields.String(validate=validate.OneOf(ALGORITHMS))
    key_id = Text(200, required=True)
    nonce = Text(200, required=True)
    aad_meta = OpenObject()


class SecretMeta(View):
    NULLABLE = frozenset({"rotated_at"})

    id = fields.UUID()
    tenant_id = fields.UUID()
    label = fields.String()
    alg = fields.String()
    key_id = fields.String()
    aad_meta = fields.Dict()
    version = fields.Integer()
    rotated_at = Moment(allow_none=True)
    created_at = Moment()
    updated_at = Moment()


class NewBinding(Body):
    scope_type = fields.String(required=True, validate=validate.OneOf(SCOPES))
    scope_id = Text(200, required=True)
    secret_ref = Identifier(required=True)
    field_name = Text(200, required=True)


class BindingView(View):
    id = fields.UUID()
    tenant_id = fields.UUID()
    scope_type = fields.String()
    scope_id = fields.String()
    secret_ref = fields.UUID(attribute="secret_id")
    field_name = fields.String()
    created_at = Moment()


class BindingGone(View):
    id = fields.UUID()
    deleted = fields.Boolean()


class Handing(Schema):
    command_id = Identifier(required=True)


class Sealed(View):
    """One version of a secret, for the agent that may open it."""

    id = fields.UUID()
    label = fields.String()
    alg = fields.String()
    key_id = fields.String()
    nonce = fields.String()
    ciphertext = fields.String()
    aad_meta = fields.Dict()
    version = fields.Integer()
    field_name = fields.String()
    scope_type = fields.String()
    scope_id = fields.String()


class Acknowledgement(Body):
    version = Whole(1, LARGEST_VERSION, required=True)


class Acknowledged(View):
    id = fields.UUID()
    version = fields.Integer()


class Allowances(Body):
    paths = fields.List(Text(500), required=True, validate=validate.Length(max=MOST_PATHS))


class AllowancesView(View):
    paths = fields.List(fields.String())


SECRETS = page_query("created_at", "label", "updated_at")
BINDINGS = page_query(
    "created_at", "field_name", scope_type=fields.String(validate=validate.OneOf(SCOPES)), scope_id=Text(200)
)
