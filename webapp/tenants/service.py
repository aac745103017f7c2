"""What can be done with tenants."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from webapp.errors import InvalidRequest
from webapp.tenants.models import Tenant

LONGEST_NAME = 200


def create_tenant(session: Session, *, tenant_id: UUID, name: str) -> Tenant:
    """The new tenant. The session's claims must already name `tenant_id`: nobody else may write that row.

    Raises InvalidRequest for a name that is empty or longer than 200 characters.
    """
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidRequest(f"A tenant's name has 1 to {LONGEST_NAME} printable characters.")
    tenant = Tenant(id=tenant_id, name=name)
    session.add(tenant)
    session.flush()
    return tenant
