"""Who belongs to a tenant, and in which role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.audit import service as audit
from webapp.errors import MoorageError
from webapp.listing import Page, page_of
from webapp.tenants.models import Membership


class MemberNotFound(MoorageError):
    status, code, message = 404, "MEMBER_NOT_FOUND", "This user is no member of the tenant."


class AlreadyMember(MoorageError):
    status, code, message = 409, "ALREADY_MEMBER", "This user is a member already. PATCH changes the role."


class LastAdmin(MoorageError):
    status, code, message = 409, "LAST_ADMIN", "This is the tenant's last admin. Make another member admin first."


def of_user(session: Session, user_id: str) -> list[UUID]:
    """The tenants that a user belongs to, the oldest membership first; the transaction must claim their id (`sub`)."""
    query = select(Membership.tenant_id).where(Membership.user_id == user_id)
    return list(session.scalars(query.order_by(Membership.created_at, Membership.tenant_id)))


def add(session: Session, by: audit.Actor, *, user_id: str, role: str, email: str | None) -> Membership:
    """The new member. Raises AlreadyMember."""
    row = {"tenant_id": by.tenant, "user_id": user_id, "role": role, "email": email}
    adding = insert(Membership).values(row).on_conflict_do_nothing().returning(Membership)
    added = session.scalars(adding).one_or_none()
    if added is None:
        raise AlreadyMember
    audit.record(session, by, "member_added", subject=user_id, details={"role": role})
    return added


def listed(session: Session, tenant: UUID, asked: Mapping[str, Any]) -> Page:
    query = select(Membership).where(Membership.tenant_id == tenant)
    if asked.get("role"):
        query = query.where(Membership.role == asked["role"])
    sortable = {"created_at": Membership.created_at, "user_id": Membership.user_id, "role": Membership.role}
    searched = (Membership.user_id, Membership.email)
    return page_of(session, query, asked, sortable=sortable, searched=searched, tie=Membership.user_id)


def change(session: Session, by: audit.Actor, user_id: str, role: str) -> Membership:
    """Another role, in force at once. Raises MemberNotFound, LastAdmin."""
    member = _locked(session, by.tenant, user_id, leaves=role != "admin")
    before, member.role = member.role, role
    member.updated_at = session.scalar(select(func.now())) or member.updated_at
    audit.record(session, by, "role_changed", subject=user_id, details={"from": before, "to": role})
    session.flush()
    return member


def remove(session: Session, by: audit.Actor, user_id: str) -> dict[str, Any]:
    """`{id, deleted}`: their tokens are worth nothing from now on. Raises MemberNotFound, LastAdmin."""
    session.delete(_locked(session, by.tenant, user_id, leaves=True))
    audit.record(session, by, "member_removed", subject=user_id)
    return {"id": user_id, "deleted": True}


def _locked(session: Session, tenant: UUID, user_id: str, *, leaves: bool) -> Membership:
    # All admins are locked, in one order: of two admins who remove each other at once, the second one waits and sees.
    admins = select(Membership).where(Membership.tenant_id == tenant, Membership.role == "admin")
    ids = [row.user_id for row in session.scalars(admins.order_by(Membership.user_id).with_for_update())]
    member = session.get(Membership, (tenant, user_id), populate_existing=True, with_for_update=True)
    if member is None:
        raise MemberNotFound
    if leaves and ids == [user_id]:
        raise LastAdmin
    return member
