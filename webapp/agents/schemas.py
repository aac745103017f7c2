"""What the agents' operations take and give."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate

from webapp.fields import Body, Identifier, Moment, OpenObject, Text, View, Whole
from webapp.listing import page_query

STATUSES = ("pending", "active", "offline", "revoked")
MOST_CAPABILITIES = 200


class Capabilities(OpenObject):
    """A list of words, or an object of any content."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> Any:
        if not isinstance(value, list):
            return super()._deserialize(value, attr, data, **more)
        if len(value) > MOST_CAPABILITIES or not all(isinstance(word, str) and len(word) <= 200 for word in value):
            raise ValidationError(f"Must be an object, or a list of at most {MOST_CAPABILITIES} short strings.")
        return value


class NewPairing(Body):
    name = Text(200)
    expires_in_minutes = Whole(5, 1440, load_default=15)
    owner_user_id = Identifier()


class PairingView(View):
    id = fields.UUID()
    tenant_id = fields.UUID()
    owner_user_id = fields.String()
    name = fields.String()
    status = fields.String()
    pairing_code = fields.String()
    pairing_expires_at = Moment()
    pairing_bundle = fields.String()
    pairing_uri = fields.String()
    pairing_url = fields.String()
    server_url = fields.String()


class Registration(Body):
    pairing_code = Text(100, required=True)
    machine_name = Text(200)
    version = Text(100)
    platform = Text(100)
    capabilities = Capabilities()
    public_key = Text(4096)


class RegisteredView(View):
    id = fields.UUID()
    tenant_id = fields.UUID()
    name = fields.String()
    status = fields.String()
    paired_at = Moment()
    agent_token = fields.String()
    agent_token_expires_at = Moment()


class TokenView(View):
    agent_id = fields.UUID()
    agent_token = fields.String()
    agent_token_expires_at = Moment()


class Beat(Body):
    agent_id = Identifier(required=True)
    status = Text(100)
    metadata = OpenObject()


class BeatView(View):
    agent_id = fields.UUID()
    status = fields.String()
    last_seen_at = Moment()


class Revocation(Body):
    reason = Text(500)


AGENTS = page_query(
    "created_at",
    "name",
    "last_seen_at",
    status=fields.String(validate=validate.OneOf(STATUSES)),
    owner_user_id=Identifier(),
)


class AgentView(View):
    """`status` is `offline` where an active agent has not been heard of for 90 s."""

    NULLABLE = frozenset({"last_seen_at"})

    id = fields.UUID()
    tenant_id = fields.UUID()
    owner_user_id = fields.String()
    name = fields.String()
    status = fields.String(attribute="standing")
    machine_name = fields.String()
    version = fields.String()
    platform = fields.String()
    capabilities = fields.Raw()
    public_key = fields.String()
    key_id = fields.String()
    reported_status = fields.String()
    metadata = fields.Dict(attribute="reported")
    paired_at = Moment()
    last_seen_at = Moment()
    created_at = Moment()
    revoked_at = Moment()
    revoke_reason = fields.String()
