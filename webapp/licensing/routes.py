"""Machines, leases, licences and entitlements."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from flask import Blueprint

from webapp.caller import admins, anyone, managers, members
from webapp.collaborators import collaborators
from webapp.licensing import leases, rules, service
from webapp.licensing import schemas as s
from webapp.licensing.models import Entitlement, Lease, License, Vm
from webapp.listing import Page
from webapp.operation import Call, admit, operation

licensing = Blueprint("licensing", __name__, url_prefix="/api/v1")

RESOLVE = "artifacts:resolve"
BEATER = members(RESOLVE)
LEASE_RULES = tuple(error for error, _ in rules.RULES)
Who = namedtuple("Who", ["user_id", "role", "scopes"])


@operation(licensing, "POST /vm/register", summary="Register a machine, or bring its record up to date", tag="vms",
           allow=members(RESOLVE), body=s.NewVm, answer=s.VmView, status=201, creates=True,
           raises=(rules.VmOwnerMismatch, rules.VmInactive))  # fmt: skip
def register_vm(call: Call) -> Vm:
    return service.register_vm(call.session, call.caller, call.body)


@operation(licensing, "GET /vm/<vm_uuid>/resolve", summary="A machine's record", tag="vms", allow=anyone(RESOLVE),
           answer=s.VmView, raises=(rules.VmUuidNotFound,))  # fmt: skip
def resolve_vm(call: Call, vm_uuid: str) -> Vm:
    return service.resolve_vm(call.session, vm_uuid, call.caller.tenant)


@operation(licensing, "GET /vms", summary="List the tenant's machines", tag="vms", allow=anyone("ops:read"),
           query=s.VMS, answer=[s.VmView])  # fmt: skip
def vms(call: Call) -> Page:
    return service.list_vms(call.session, call.query)


@operation(licensing, "POST /license/lease", summary="Take a lease of a module", tag="leases", allow=members(RESOLVE),
           body=s.NewLease, answer=s.LeaseIssued, status=201, creates=True, raises=LEASE_RULES)  # fmt: skip
def take_lease(call: Call) -> dict[str, Any]:
    settings = collaborators().settings
    seconds = settings.license_lease_ttl_seconds
    made = leases.take(call.session, call.caller, settings.license_lease_secret, call.body, seconds=seconds)
    columns = ("id", "tenant_id", "user_id", "vm_uuid", "module", "expires_at")
    return {**{name: getattr(made.lease, name) for name in columns}, "token": made.token.reveal()}


@operation(licensing, "POST /license/heartbeat", summary="Prolong a lease, and get its next token", tag="leases",
           allow=BEATER, body=s.LeaseBeat, answer=s.LeaseBeaten, transacted=False, vouched=False,
           raises=(rules.LeaseNotFound, rules.LeaseOwnerMismatch, rules.LeaseInactive, rules.LeaseExpired))  # fmt: skip
def beat(call: Call) -> dict[str, Any]:
    """One statement for who asks and what is done: thousands of runners beat at once."""
    its, credential = collaborators(), call.presented
    seconds = its.settings.license_lease_ttl_seconds
    values = leases.beat_values(
        credential, call.body["lease_id"], roles=BEATER.roles, scope=BEATER.scope, seconds=seconds
    )
    rows = its.database.at_once(leases.BEAT, values, tenant=credential.tenant)
    admit(BEATER, credential, Who(rows[0].caller_id, rows[0].role, rows[0].scopes) if rows else None)
    return leases.beaten(rows[0], its.settings.license_lease_secret)


@operation(licensing, "POST /license/revoke", summary="End a lease now", tag="leases", allow=managers("ops:write"),
           body=s.LeaseRevoke, answer=s.LeaseRevoked, raises=(rules.LeaseNotFound,))  # fmt: skip
def revoke_lease(call: Call) -> Lease:
    return leases.revoke(call.session, call.caller, call.body["lease_id"], call.body.get("reason"))


@operation(licensing, "GET /leases", summary="List leases", tag="leases", allow=managers("ops:read"), query=s.LEASES,
           answer=[s.LeaseView])  # fmt: skip
def list_leases(call: Call) -> Page:
    return service.list_leases(call.session, call.query)


@operation(licensing, "POST /licenses", summary="Grant a licence", tag="licenses", allow=admins("ops:write"),
           body=s.NewLicense, answer=s.LicenseView, status=201, creates=True)  # fmt: skip
def grant_license(call: Call) -> License:
    return service.grant_license(call.session, call.caller, call.body)


@operation(licensing, "GET /licenses", summary="List licences", tag="licenses", allow=admins("ops:read"),
           query=s.LICENSES, answer=[s.LicenseView])  # fmt: skip
def licenses(call: Call) -> Page:
    return service.list_licenses(call.session, call.query)


@operation(licensing, "GET /licenses/<license_id>", summary="A licence", tag="licenses", allow=admins("ops:read"),
           answer=s.LicenseView, raises=(service.LicenseNotFound,))  # fmt: skip
def license_of(call: Call, license_id: str) -> License:
    return service.license_of(call.session, license_id)


@operation(licensing, "PATCH /licenses/<license_id>", summary="Suspend, revoke or prolong a licence", tag="licenses",
           allow=admins("ops:write"), body=s.LicenseChange, answer=s.LicenseView,
           raises=(service.LicenseNotFound,))  # fmt: skip
def change_license(call: Call, license_id: str) -> License:
    return service.change_license(call.session, call.caller, license_id, call.body)


@operation(licensing, "POST /entitlements", summary="Entitle a user to a module, or to all (*)", tag="entitlements",
           allow=admins("ops:write"), body=s.NewEntitlement, answer=s.EntitlementView, status=201,
           creates=True)  # fmt: skip
def entitle(call: Call) -> Entitlement:
    return service.entitle(call.session, call.caller, call.body["user_id"], call.body["module"])


@operation(licensing, "GET /entitlements", summary="List entitlements", tag="entitlements", allow=admins("ops:read"),
           query=s.ENTITLEMENTS, answer=[s.EntitlementView])  # fmt: skip
def entitlements(call: Call) -> Page:
    return service.list_entitlements(call.session, call.query)


@operation(licensing, "GET /entitlements/<entitlement_id>", summary="An entitlement", tag="entitlements",
           allow=admins("ops:read"), answer=s.EntitlementView, raises=(service.EntitlementNotFound,))  # fmt: skip
def entitlement_of(call: Call, entitlement_id: str) -> Entitlement:
    return service.entitlement_of(call.session, entitlement_id)


@operation(licensing, "DELETE /entitlements/<entitlement_id>", summary="Withdraw an entitlement", tag="entitlements",
           allow=admins("ops:write"), raises=(service.EntitlementNotFound,))  # fmt: skip
def withdraw(call: Call, entitlement_id: str) -> dict[str, Any]:
    return service.withdraw(call.session, call.caller, entitlement_id)
