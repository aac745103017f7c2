"""Bodies and answers of licensing."""

from __future__ import annotations

from marshmallow import ValidationError, fields, validate, validates_schema

from webapp.fields import Body, Identifier, Millis, Moment, OpenObject, Text, View
from webapp.licensing import service
from webapp.licensing.models import STATUSES_OF_LICENSE, STATUSES_OF_VM, TYPES_OF_LICENSE
from webapp.listing import page_query

VM_UUID = validate.Regexp(service.VM_UUID, error="8 to 128 of A-Z a-z 0-9 : _ -")


class NewVm(Body):
    vm_uuid = fields.String(required=True, validate=VM_UUID)
    user_id = Text(200)
    vm_name = Text(200, low=0)
    project_id = Text(100, low=0)
    status = fields.String(validate=validate.OneOf(STATUSES_OF_VM))
    metadata = OpenObject()


class VmView(View):
    vm_uuid = fields.String()
    tenant_id = fields.UUID()
    user_id = fields.String()
    vm_name = fields.String()
    project_id = fields.String()
    status = fields.String()
    metadata = fields.Dict(attribute="facts")
    created_at = Millis()
    updated_at = Millis()


class NewLease(Body):
    vm_uuid = fields.String(required=True, validate=VM_UUID)
    user_id = Text(200)
    agent_id = Text(200, required=True)
    runner_id = Text(200, required=True)
    module = Text(200, required=True)
    version = Text(200, low=0)


class LeaseIssued(View):
    lease_id = fields.UUID(attribute="id")
    token = fields.String()
    expires_at = Millis()
    tenant_id = fields.UUID()
    user_id = fields.String()
    vm_uuid = fields.String()
    module = fields.String()


class LeaseBeat(Body):
    lease_id = Identifier(required=True)


class LeaseBeaten(View):
    lease_id = fields.UUID()
    status = fields.String()
    expires_at = Millis()
    last_heartbeat_at = Millis()
    token = fields.String()


class LeaseRevoke(Body):
    lease_id = Identifier(required=True)
    reason = Text(500, low=0)


class LeaseRevoked(View):
    lease_id = fields.UUID(attribute="id")
    status = fields.String()
    revoked_at = Millis()


class LeaseView(View):
    lease_id = fields.UUID(attribute="id")
    tenant_id = fields.UUID()
    user_id = fields.String()
    vm_uuid = fields.String()
    agent_id = fields.String()
    runner_id = fields.String()
    module = fields.String()
    version = fields.String()
    status = fields.String()
    created_at = Millis()
    expires_at = Millis()
    last_heartbeat_at = Millis()
    revoked_at = Millis()
    reason = fields.String()


class NewLicense(Body):
    user_id = Text(200)
    type = fields.String(required=True, validate=validate.OneOf(TYPES_OF_LICENSE))
    ends_at = Moment()

    @validates_schema
    def _an_end_is_a_subscriptions(self, data: dict[str, object], **_: object) -> None:
        if (data.get("type") == "subscription") != ("ends_at" in data):
            raise ValidationError("A subscription has an end, a perpetual licence has none.", "ends_at")


class LicenseChange(Body):
    status = fields.String(validate=validate.OneOf(STATUSES_OF_LICENSE))
    ends_at = Moment()


class LicenseView(View):
    id = fields.UUID()
    tenant_id = fields.UUID()
    user_id = fields.String()
    type = fields.String()
    status = fields.String()
    ends_at = Moment()
    created_at = Moment()
    updated_at = Moment()


class NewEntitlement(Body):
    user_id = Text(200, required=True)
    module = Text(200, required=True)


class EntitlementView(View):
    id = fields.UUID()
    tenant_id = fields.UUID()
    user_id = fields.String()
    module = fields.String()
    created_at = Moment()


VMS = page_query("created_at", "vm_uuid", "updated_at", user_id=Text(200), status=fields.String())
LEASES = page_query("created_at", "expires_at", user_id=Text(200), vm_uuid=Text(200), status=fields.String())
LICENSES = page_query("created_at", "ends_at", user_id=Text(200), status=fields.String())
ENTITLEMENTS = page_query("created_at", "user_id", "module", user_id=Text(200), module=Text(200))
