"""The caller's own tenant, and who belongs to it. Only an admin changes either."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from webapp.audit.service import Actor
from webapp.auth.service import UserNotFound, end_sessions, find_user
from webapp.caller import admins, anyone, managers
from webapp.fields import Gone
from webapp.listing import Page
from webapp.operation import Call, operation
from webapp.tenants import members, service
from webapp.tenants import schemas as s
from webapp.tenants.models import Membership, Tenant

tenants = Blueprint("tenants", __name__, url_prefix="/api/v1")

CHANGES = (members.MemberNotFound, members.LastAdmin)


@operation(tenants, "GET /tenants/current", summary="Your tenant", allow=anyone("records:read"),
           answer=s.TenantView)  # fmt: skip
def current(call: Call) -> Tenant:
    return service.require_tenant(call.session, call.caller.tenant)


@operation(tenants, "PATCH /tenants/current", summary="Rename your tenant", allow=admins(), body=s.TenantChange,
           answer=s.TenantView)  # fmt: skip
def rename(call: Call) -> Tenant:
    return service.rename(call.session, Actor.of(call.caller), call.body["name"])


@operation(tenants, "GET /members", summary="List the tenant's members", tag="members", allow=managers(),
           query=s.MEMBERS, answer=[s.MemberView])  # fmt: skip
def listed(call: Call) -> Page:
    return members.listed(call.session, call.caller.tenant, call.query)


@operation(tenants, "POST /members", summary="Make somebody a member", tag="members", allow=admins(), body=s.NewMember,
           answer=s.MemberView, status=201, creates=True, raises=(members.AlreadyMember, UserNotFound),
           example={"user_id": "ada", "role": "member"})  # fmt: skip
def add(call: Call) -> Membership:
    """By e-mail address: a user who has registered and verified it. Who is unknown here is added by `user_id`, the one
    that their outside issuer gives them."""
    user_id, email = call.body.get("user_id"), None
    if user_id is None:
        user_id, email = find_user(call.session, call.body["email"])
    return members.add(call.session, Actor.of(call.caller), user_id=user_id, role=call.body["role"], email=email)


@operation(tenants, "PATCH /members/<user_id>", summary="Give a member another role", tag="members", allow=admins(),
           body=s.RoleChange, answer=s.MemberView, raises=CHANGES)  # fmt: skip
def change(call: Call, user_id: str) -> Membership:
    """In force with the member's next request."""
    return members.change(call.session, Actor.of(call.caller), user_id, call.body["role"])


@operation(tenants, "DELETE /members/<user_id>", summary="Take a member out of the tenant", tag="members",
           allow=admins(), answer=Gone, raises=CHANGES)  # fmt: skip
def remove(call: Call, user_id: str) -> dict[str, Any]:
    """Their sessions here are worth nothing from then on."""
    gone = members.remove(call.session, Actor.of(call.caller), user_id)
    end_sessions(call.session, user_id)
    return gone
