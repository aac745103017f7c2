"""What can be done with tenants."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.audit import service as audit
from webapp.errors import InvalidRequest, MoorageError
from webapp.tenants import members
from webapp.tenants.members import of_user
from webapp.tenants.models import Tenant

__all__ = ["TenantNotFound", "create_tenant", "every_tenant", "members", "of_user", "rename", "require_tenant"]

LONGEST_NAME = 200


class TenantNotFound(MoorageError):
    status, code, message = 404, "TENANT_NOT_FOUND", "There is no such tenant. `moorage tenant create` makes one."


def create_tenant(session: Session, *, tenant_id: UUID, name: str) -> Tenant:
    """The new tenant. The session's claims must already name `tenant_id`: nobody else may write that row.

    Raises InvalidRequest for a name that is empty or longer than 200 characters.
    """
    tenant = Tenant(id=tenant_id, name=_name(name))
    session.add(tenant)
    session.flush()
    return tenant


def _name(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidRequest(f"A tenant's name has 1 to {LONGEST_NAME} printable characters.")
    return name


def rename(session: Session, by: audit.Actor, name: str) -> Tenant:
    """The session's own tenant under another name. Raises TenantNotFound, InvalidRequest."""
    tenant = require_tenant(session, by.tenant)
    before, tenant.name = tenant.name, _name(name)
    audit.record(session, by, "tenant_renamed", subject=tenant.id, details={"from": before, "to": tenant.name})
    return tenant


def every_tenant(session: Session) -> list[UUID]:
    """The ids of all tenants, for rounds of the worker. The session's claims must say `door="directory"`."""
    return list(session.scalars(select(Tenant.id).order_by(Tenant.id)))


def require_tenant(session: Session, tenant_id: UUID) -> Tenant:
    """The session's own tenant. Raises TenantNotFound."""
    tenant = session.get(Tenant, tenant_id)
    if tenant is None:
        raise TenantNotFound
    return tenant
