"""From a lease token to a URL: one statement for the facts, one for the row of the audit table, and nothing else.

No audit row, no URL: the row is written before the answer leaves, whatever the answer is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.artifacts import rules
from webapp.artifacts.presence import ANSWERS_WITHIN_SECONDS, Presence
from webapp.audit import service as audit
from webapp.auth import service as auth
from webapp.caller import Caller
from webapp.db import Database
from webapp.errors import MoorageError, StorageError, StorageUnavailable
from webapp.licensing.service import FACTS as LICENSING_FACTS
from webapp.licensing.service import lease_tokens, leases
from webapp.settings import Settings
from webapp.signing import SigningKeys
from webapp.storage import ObjectStore

_PLACES = {"tenant": "%(tenant)s", "user": "%(user)s", "vm": "%(vm)s", "module": "%(module)s"}

FACTS = f"""
WITH who AS MATERIALIZED (SELECT * FROM {auth.STANDING}),
lease AS MATERIALIZED (
    SELECT l.status, l.expires_at <= now() AS over FROM licensing_leases l WHERE l.id = %(lease)s
),
assignment AS MATERIALIZED (
    SELECT a.release_id FROM artifact_assignments a
    WHERE a.tenant_id = %(tenant)s AND a.module = %(module)s AND a.platform = %(platform)s
        AND a.channel = %(channel)s AND (a.user_id = %(user)s OR a.user_id IS NULL)
    ORDER BY a.user_id NULLS LAST LIMIT 1
)
SELECT w.user_id, w.role, w.scopes, l.status AS lease_status, l.over AS lease_over, {LICENSING_FACTS.format(**_PLACES)},
    a.release_id IS NOT NULL AS assigned, r.id AS release_id, r.version, r.sha256, r.size_bytes, r.object_key,
    r.status AS release_status,
    EXISTS (SELECT FROM artifact_objects o WHERE o.object_key = r.object_key) AS object_is_ours
FROM who w LEFT JOIN lease l ON true LEFT JOIN assignment a ON true LEFT JOIN artifact_releases r ON r.id = a.release_id
"""  # noqa: S608 - names of ours with placeholders


class ResolutionNotFound(MoorageError):
    status, code, message = 404, "RESOLUTION_NOT_FOUND", "There is no such resolution of this lease."


@dataclass(frozen=True)
class Depot:
    """What resolving needs beside the request."""

    database: Database
    store: ObjectStore
    presence: Presence
    keys: SigningKeys
    url_seconds: int

    @classmethod
    def of(cls, settings: Settings, database: Database, store: ObjectStore) -> Depot:
        """Its look at the store gives up sooner than uploads do."""
        looks = Presence(ObjectStore.of(settings, answers_within=ANSWERS_WITHIN_SECONDS))
        return cls(database, store, looks, settings.lease_keys, settings.s3_presign_ttl_seconds)


@dataclass
class Attempt:
    """One request for a URL, on its way to its row in the audit table. `row` is what FACTS gave."""

    body: Mapping[str, Any]
    claims: lease_tokens.LeaseClaims | None
    row: Any = None

    def values(self, credential: auth.Credential) -> dict[str, Any]:
        """The values of FACTS. A token that is none finds no lease."""
        claims = self.claims
        return {
            **auth.standing(credential),
            "tenant": credential.tenant,
            "lease": claims.lease_id if claims else None,
            "user": claims.user_id if claims else None,
            "vm": claims.vm_uuid if claims else None,
            "module": claims.module if claims else self.body["module"],
            "platform": self.body["platform"],
            "channel": self.body["channel"],
        }

    def details(self) -> dict[str, Any]:
        """What the audit row says beside who and whether."""
        said = {name: self.body[name] for name in ("vm_uuid", "module", "platform", "channel")}
        if self.claims:
            said |= {"lease_id": str(self.claims.lease_id), "lease_user_id": self.claims.user_id}
        if self.row is not None and self.row.release_id is not None:
            said |= {"release_id": self.row.release_id, "version": self.row.version}
        return said


def begin(depot: Depot, credential: auth.Credential, body: Mapping[str, Any]) -> Attempt:
    """The attempt with its facts. `row` is None where the bearer is worth nothing any more."""
    try:
        claims = lease_tokens.read(body["lease_token"], depot.keys)
    except lease_tokens.LeaseTokenInvalid:
        claims = None
    attempt = Attempt({**body, "vm_uuid": body["vm_uuid"].lower()}, claims)
    rows = depot.database.at_once(FACTS, attempt.values(credential), tenant=credential.tenant)
    attempt.row = rows[0] if rows else None
    return attempt


def caller_of(credential: auth.Credential, attempt: Attempt, address: str) -> Caller:
    """Who asked, also where their role does not allow it. Raises TokenInvalid."""
    return auth.caller_of(credential, attempt.row, address=address)


def finish(depot: Depot, caller: Caller, attempt: Attempt) -> dict[str, Any]:
    """The answer, with its row written. Raises what refuses it, with its row written too."""
    try:
        _refuse(attempt, caller)
        _look(depot.presence, attempt.row)
        url = depot.store.presign_get(attempt.row.object_key)
    except (StorageUnavailable, StorageError) as failure:
        refused(depot, caller, attempt, failure, event="resolve_error", result="error")
        raise
    except MoorageError as refusal:
        refused(depot, caller, attempt, refusal)
        raise
    row, expires = attempt.row, round((time.time() + depot.url_seconds) * 1000)
    details = {**attempt.details(), "url_expires_at": expires}
    written = _write(depot, caller, "resolve_success", "allowed", details)
    return {
        "download_url": url,
        "url_expires_at": expires,
        "release_id": row.release_id,
        "version": row.version,
        "sha256": row.sha256,
        "size_bytes": row.size_bytes,
        "resolution_id": str(written),
    }


def refused(
    depot: Depot,
    caller: Caller,
    attempt: Attempt,
    refusal: MoorageError,
    *,
    event: str = "resolve_denied",
    result: audit.Result = "denied",
) -> None:
    """Write the row of an attempt that ends in a refusal."""
    _write(depot, caller, event, result, attempt.details(), reason=refusal.code)


def _refuse(attempt: Attempt, caller: Caller) -> None:
    claims, row = attempt.claims, attempt.row
    if claims is None:
        raise lease_tokens.LeaseTokenInvalid
    asked = rules.Asked(
        claims, claims.tenant == caller.tenant, attempt.body["vm_uuid"], attempt.body["module"], time.time()
    )
    known = rules.Known(
        row.lease_status,
        bool(row.lease_over),
        leases.standing_of(row, claims.user_id),
        row.assigned,
        row.release_status,
        row.object_is_ours,
    )
    for refusal in (*rules.refusals_of(asked), *rules.refusals(known)):
        raise refusal


def _look(presence: Presence, row: Any) -> None:
    size = presence.size(row.object_key)
    if size is None:
        raise rules.ObjectMissing
    if size != row.size_bytes:
        raise rules.ObjectMismatch


def _write(
    depot: Depot,
    caller: Caller,
    event: str,
    result: audit.Result,
    details: Mapping[str, Any],
    *,
    reason: str | None = None,
) -> int:
    row = audit.row(
        audit.Actor.of(caller), event, result, reason=reason, subject=details.get("lease_id"), details=details
    )
    [written] = depot.database.at_once(audit.INSERT + " RETURNING id", audit.values(row), tenant=caller.tenant)
    return int(written.id)


def report(session: Session, caller: Caller, keys: SigningKeys, given: Mapping[str, Any]) -> dict[str, str]:
    """One row that says what became of a download; a second report changes nothing, and is told the first.

    A token whose time is over still says whose download it was. Raises LeaseTokenInvalid, ResolutionNotFound.
    """
    claims = lease_tokens.read(given["lease_token"], keys)
    resolution = given["resolution_id"]
    known = resolution.isascii() and resolution.isdigit() and len(resolution) < 19 and claims.tenant == caller.tenant
    found = (
        session.execute(
            text("SELECT details FROM audit_events WHERE id = :id AND event = 'resolve_success'"),
            {"id": int(resolution)},
        ).scalar_one_or_none()
        if known
        else None
    )
    if found is None or found.get("lease_id") != str(claims.lease_id):
        raise ResolutionNotFound
    details = {name: given[name] for name in ("outcome", "bytes", "error") if name in given}
    copied = ("vm_uuid", "module", "platform", "channel", "lease_id", "release_id", "version")
    details |= {name: found[name] for name in copied if name in found} | {"resolution_id": resolution}
    outcome: str = audit.record_once(session, caller, "download_reported", subject=resolution, details=details)[
        "outcome"
    ]
    return {"resolution_id": resolution, "outcome": outcome}
