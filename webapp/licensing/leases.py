"""Leases: taken where the rules allow it, prolonged by heartbeats, ended by their time or by a manager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from webapp.audit import service as audit
from webapp.auth import service as auth
from webapp.caller import Caller, Forbidden
from webapp.fields import uuid_of
from webapp.licensing import lease_tokens
from webapp.licensing.models import Lease
from webapp.licensing.rules import LeaseExpired, LeaseInactive, LeaseNotFound, LeaseOwnerMismatch, Standing, refusals
from webapp.redaction import Secret

# A lease is prolonged for so long at most; then its runner takes a new one, and is judged anew.
LONGEST = text("interval '24 hours'")

# What the rules want to know of (user, machine, module); `{user}` and the like are expressions of the statement around.
# The licence: the tenant's or the user's, the one that lasts longest.
FACTS = """
    (SELECT v.status FROM licensing_vms v WHERE v.tenant_id = {tenant} AND v.vm_uuid = {vm}) AS vm_status,
    (SELECT v.user_id FROM licensing_vms v WHERE v.tenant_id = {tenant} AND v.vm_uuid = {vm}) AS vm_user_id,
    (SELECT c.id FROM licensing_licenses c WHERE c.tenant_id = {tenant} AND c.status = 'active'
        AND (c.user_id IS NULL OR c.user_id = {user}) AND (c.type = 'perpetual' OR c.ends_at > now())
        ORDER BY c.ends_at DESC NULLS FIRST LIMIT 1) AS license_id,
    EXISTS (SELECT FROM licensing_entitlements e WHERE e.tenant_id = {tenant} AND e.user_id = {user}) AS entitled,
    EXISTS (SELECT FROM licensing_entitlements e WHERE e.tenant_id = {tenant} AND e.user_id = {user}
        AND e.module IN ({module}, '*')) AS module_allowed
"""
_STANDING = text("SELECT " + FACTS.format(tenant=":tenant", user=":user", vm=":vm", module=":module"))


@dataclass(frozen=True)
class Issued:
    """A new lease and its token."""

    lease: Lease
    token: Secret


def standing_of(row: Any, user_id: str) -> Standing:
    """The facts out of a row that has the columns of FACTS."""
    return Standing(
        user_id, row.vm_status, row.vm_user_id, row.license_id is not None, row.entitled, row.module_allowed
    )


def take(session: Session, caller: Caller, secret: Secret, given: Mapping[str, Any], *, seconds: int) -> Issued:
    """A lease for `seconds`. Raises Forbidden, and whatever `refusals` says."""
    user_id = given.get("user_id") or caller.user_id
    if user_id != caller.user_id and not caller.manages:
        raise Forbidden("Only admin and infra may take leases for other users.")
    vm_uuid = given["vm_uuid"].lower()
    asked = {"tenant": caller.tenant, "user": user_id, "vm": vm_uuid, "module": given["module"]}
    row = session.execute(_STANDING, asked).one()
    for refusal in refusals(standing_of(row, user_id)):
        raise refusal
    lease = Lease(
        id=uuid4(),
        tenant_id=caller.tenant,
        user_id=user_id,
        vm_uuid=vm_uuid,
        agent_id=given["agent_id"],
        runner_id=given["runner_id"],
        module=given["module"],
        version=given.get("version"),
        license_id=row.license_id,
        expires_at=func.now() + text(f"interval '{seconds:d} seconds'"),
    )
    token = lease_tokens.mint(secret, lease, seconds=seconds)
    lease.token_digest = lease_tokens.digest_of(token)
    session.add(lease)
    session.flush()
    details = {"vm_uuid": vm_uuid, "module": lease.module, "user_id": user_id}
    audit.record(session, caller, "lease_taken", subject=lease.id, details=details)
    session.refresh(lease)
    return Issued(lease, Secret(token))


def revoke(session: Session, caller: Caller, lease_id: str, reason: str | None) -> Lease:
    """The lease, ended now; one that was revoked before stays as it was. Raises LeaseNotFound."""
    known = uuid_of(lease_id)
    query = select(Lease).where(Lease.id == known).with_for_update()
    lease = session.execute(query).scalar_one_or_none() if known else None
    if lease is None:
        raise LeaseNotFound
    if lease.status != "revoked":
        lease.status, lease.revoked_at, lease.reason = "revoked", func.now(), reason
        session.flush()
        session.refresh(lease)
        audit.record(session, caller, "lease_revoked", subject=lease.id, reason=reason)
    return lease


# Who asks, the lease as it was, and the lease prolonged where that may be: one statement, one round trip.
BEAT = f"""
WITH who AS MATERIALIZED (SELECT * FROM {auth.STANDING}),
known AS MATERIALIZED (
    SELECT l.*, l.expires_at <= now() AS over,
        (w.role IN ('admin', 'infra') OR w.scopes IS NOT NULL OR l.user_id = w.user_id) AS own,
        (w.role = ANY(%(roles)s) OR %(scope)s = ANY(w.scopes)) AS may
    FROM licensing_leases l, who w WHERE l.id = %(lease)s
),
beaten AS (
    UPDATE licensing_leases l SET last_heartbeat_at = now(),
        expires_at = least(now() + %(seconds)s * interval '1 second', l.created_at + interval '24 hours')
    FROM known k WHERE l.id = k.id AND k.may AND k.own AND l.status = 'active' AND l.expires_at > now()
    RETURNING l.expires_at AS until, l.last_heartbeat_at AS beat_at
)
SELECT w.user_id AS caller_id, w.role, w.scopes, k.id, k.tenant_id, k.user_id, k.vm_uuid, k.agent_id, k.runner_id,
    k.module, k.license_id, k.status, k.over, k.own, b.until, b.beat_at,
    extract(epoch FROM b.until - b.beat_at)::int AS seconds
FROM who w LEFT JOIN known k ON true LEFT JOIN beaten b ON true
"""  # noqa: S608 - STANDING is a name of ours with placeholders


def beat_values(
    credential: auth.Credential, lease_id: str, *, roles: frozenset[str], scope: str | None, seconds: int
) -> dict[str, Any]:
    """The values of BEAT."""
    lease: UUID | None = uuid_of(lease_id)
    return {**auth.standing(credential), "lease": lease, "roles": list(roles), "scope": scope, "seconds": seconds}


def beaten(row: Any, secret: Secret) -> dict[str, Any]:
    """The answer out of BEAT's row. Raises LeaseNotFound, LeaseOwnerMismatch, LeaseInactive, LeaseExpired."""
    if row.id is None:
        raise LeaseNotFound
    if not row.own:
        raise LeaseOwnerMismatch
    if row.status != "active":
        raise LeaseInactive
    if row.until is None:
        raise LeaseExpired if row.over else LeaseInactive  # revoked between the look and the update
    return {
        "lease_id": row.id,
        "status": row.status,
        "expires_at": row.until,
        "last_heartbeat_at": row.beat_at,
        "token": lease_tokens.mint(secret, row, seconds=row.seconds),
    }
