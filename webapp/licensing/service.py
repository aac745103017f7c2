"""Machines, licences and entitlements. Leases are in leases.py; both are this room's service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp import finding
from webapp.audit import service as audit
from webapp.caller import Caller, Forbidden
from webapp.errors import InvalidRequest, MoorageError
from webapp.licensing import lease_tokens, leases
from webapp.licensing import rules as lease_rules
from webapp.licensing.models import Entitlement, Lease, License, Vm
from webapp.licensing.rules import VmInactive, VmOwnerMismatch, VmUuidNotFound
from webapp.listing import Page, page_of

__all__ = ["FACTS", "VM_UUID", "lease_rules", "lease_tokens", "leases", "register_vm", "resolve_vm"]

# For statements of other rooms that ask for a user's standing too.
FACTS = leases.FACTS
# What a machine's UUID looks like, for schemas.
VM_UUID = r"\A[A-Za-z0-9:_-]{8,128}\Z"


class LicenseNotFound(MoorageError):
    status, code, message = 404, "LICENSE_NOT_FOUND", "There is no such licence."


class EntitlementNotFound(MoorageError):
    status, code, message = 404, "ENTITLEMENT_NOT_FOUND", "There is no such entitlement."


def register_vm(session: Session, caller: Caller, given: Mapping[str, Any]) -> Vm:
    """The machine's record, made or brought up to date; what is not given stays as it was.

    Raises Forbidden for somebody else's id, VmOwnerMismatch for somebody else's machine, and VmInactive where a machine
    that was revoked is to be made active by its own user.
    """
    owner = given.get("user_id")
    if owner is not None and owner != caller.user_id and not caller.manages:
        raise Forbidden("Only admin and infra may register machines of other users.")
    values = {
        "vm_name": given.get("vm_name"),
        "project_id": given.get("project_id"),
        "status": given.get("status"),
        "metadata": given.get("metadata"),
    }
    said = {name: value for name, value in values.items() if value is not None}
    key = given["vm_uuid"].lower()
    table = Vm.__table__
    fresh = {"status": "active", **said, "tenant_id": caller.tenant, "vm_uuid": key, "user_id": owner or caller.user_id}
    change = {**said, "updated_at": func.now(), **({"user_id": owner} if owner else {})}
    # One statement: of two who register a machine at once, the second one meets the first one's row.
    mine = True if caller.manages else (table.c.user_id == caller.user_id)
    upsert = insert(table).values(fresh).on_conflict_do_update(  # type: ignore[arg-type]  # a Table, says SQLAlchemy
        index_elements=["tenant_id", "vm_uuid"], set_=change, where=_may(table, mine, caller, said.get("status"))
    )
    session.execute(upsert)
    vm = session.get(Vm, (caller.tenant, key), populate_existing=True)
    if vm is None or (vm.user_id != caller.user_id and not caller.manages):
        raise VmOwnerMismatch
    if vm.status == "revoked" and said.get("status") not in (None, "revoked"):
        raise VmInactive("This machine was revoked; admin or infra can make it active again.")
    return vm


def _may(table: Any, mine: Any, caller: Caller, status: str | None) -> Any:
    if caller.manages or status in (None, "revoked"):
        return None if mine is True else mine
    return mine & (table.c.status != "revoked")


def resolve_vm(session: Session, vm_uuid: str, tenant: UUID) -> Vm:
    """Raises VmUuidNotFound."""
    vm = session.get(Vm, (tenant, vm_uuid.lower()))
    if vm is None:
        raise VmUuidNotFound
    return vm


def _filtered(query: Select[Any], model: Any, asked: Mapping[str, Any], *names: str) -> Select[Any]:
    for name in names:
        if asked.get(name) is not None:
            query = query.where(getattr(model, name) == asked[name])
    return query


def list_vms(session: Session, asked: Mapping[str, Any]) -> Page:
    query = _filtered(select(Vm), Vm, asked, "user_id", "status")
    sortable = {"created_at": Vm.created_at, "updated_at": Vm.updated_at, "vm_uuid": Vm.vm_uuid}
    searched = (Vm.vm_uuid, Vm.vm_name, Vm.user_id)
    return page_of(session, query, asked, sortable=sortable, searched=searched, tie=Vm.vm_uuid)


def list_leases(session: Session, asked: Mapping[str, Any]) -> Page:
    query = _filtered(select(Lease), Lease, asked, "user_id", "vm_uuid", "status")
    sortable = {"created_at": Lease.created_at, "expires_at": Lease.expires_at}
    return page_of(session, query, asked, sortable=sortable, searched=(Lease.vm_uuid, Lease.module), tie=Lease.id)


def grant_license(session: Session, by: Caller | audit.Actor, given: Mapping[str, Any]) -> License:
    """A new licence, in force at once."""
    made = License(id=uuid4(), tenant_id=by.tenant, **given)
    session.add(made)
    session.flush()
    audit.record(session, by, "license_granted", subject=made.id, details={"type": made.type, "user_id": made.user_id})
    return made


def license_of(session: Session, license_id: str) -> License:
    """Raises LicenseNotFound."""
    return finding.found(session, License, license_id, LicenseNotFound)


def change_license(session: Session, caller: Caller, license_id: str, change: Mapping[str, Any]) -> License:
    """Raises LicenseNotFound; InvalidRequest where a perpetual licence is given an end."""
    found = license_of(session, license_id)
    if "ends_at" in change and found.type == "perpetual":
        raise InvalidRequest(details={"ends_at": ["A perpetual licence has no end."]})
    for name, value in change.items():
        setattr(found, name, value)
    found.updated_at = func.now()
    session.flush()
    audit.record(session, caller, "license_changed", subject=found.id, details={"status": found.status})
    return found


def list_licenses(session: Session, asked: Mapping[str, Any]) -> Page:
    query = select(License)
    if asked.get("status") is not None:
        query = query.where(License.status == asked["status"])
    if asked.get("user_id") is not None:  # what this user stands on: their own and the tenant's
        query = query.where(or_(License.user_id == asked["user_id"], License.user_id.is_(None)))
    sortable = {"created_at": License.created_at, "ends_at": License.ends_at}
    return page_of(session, query, asked, sortable=sortable, searched=(License.user_id,), tie=License.id)


def entitle(session: Session, by: Caller | audit.Actor, user_id: str, module: str) -> Entitlement:
    """The entitlement, made where it is not there yet."""
    row = {"id": uuid4(), "tenant_id": by.tenant, "user_id": user_id, "module": module}
    session.execute(insert(Entitlement).values(row).on_conflict_do_nothing())
    mine = select(Entitlement).where(Entitlement.user_id == user_id, Entitlement.module == module)
    found = session.execute(mine).scalar_one()
    if found.id == row["id"]:
        audit.record(session, by, "entitlement_set", subject=user_id, details={"module": module})
    return found


def entitlement_of(session: Session, entitlement_id: str, *, lock: bool = False) -> Entitlement:
    """Raises EntitlementNotFound."""
    return finding.found(session, Entitlement, entitlement_id, EntitlementNotFound, lock=lock)


def withdraw(session: Session, caller: Caller, entitlement_id: str) -> dict[str, Any]:
    """`{id, deleted}`. Raises EntitlementNotFound."""
    found = entitlement_of(session, entitlement_id, lock=True)  # of two who withdraw it at once, one does
    session.delete(found)
    details = {"module": found.module}
    audit.record(session, caller, "entitlement_withdrawn", subject=found.user_id, details=details)
    return {"id": str(found.id), "deleted": True}


def list_entitlements(session: Session, asked: Mapping[str, Any]) -> Page:
    query = _filtered(select(Entitlement), Entitlement, asked, "user_id", "module")
    names = ("created_at", "user_id", "module")
    sortable = {name: getattr(Entitlement, name) for name in names}
    searched = (Entitlement.user_id, Entitlement.module)
    return page_of(session, query, asked, sortable=sortable, searched=searched, tie=Entitlement.id)
