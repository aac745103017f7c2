"""Lease tokens: JWTs (HS256, LICENSE_LEASE_SECRET) that say what a runner may fetch, and until when."""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt

from webapp.errors import MoorageError
from webapp.redaction import Secret
from webapp.signing import SigningKeys

ALGORITHM = "HS256"
_REQUIRED = ["sub", "jti", "iat", "exp", "tenant_id", "user_id", "vm_uuid", "agent_id", "module", "license_id"]


class LeaseTokenInvalid(MoorageError):
    """Not one of ours, or altered. The bearer beside it may be good: hence another code than TOKEN_INVALID."""

    status, code, message = 401, "UNAUTHORIZED", "The lease token is not one of this service, or was altered."
    forged = "lease"


@dataclass(frozen=True)
class LeaseClaims:
    """What a lease token says; `expires` in seconds since the epoch."""

    lease_id: UUID
    tenant: UUID
    user_id: str
    vm_uuid: str
    module: str
    expires: float


def mint(secret: Secret, lease: Any, *, seconds: int) -> str:
    """A token for a lease (a row or a model), good for so many seconds from now."""
    now = int(time.time())
    claims = {
        "sub": lease.runner_id,
        "jti": str(lease.id),
        "iat": now,
        "exp": now + seconds,
        "tenant_id": str(lease.tenant_id),
        "user_id": lease.user_id,
        "vm_uuid": lease.vm_uuid,
        "agent_id": lease.agent_id,
        "module": lease.module,
        "license_id": str(lease.license_id),
    }
    return jwt.encode(claims, secret.reveal(), algorithm=ALGORITHM)


def read(token: str, keys: SigningKeys) -> LeaseClaims:
    """What a token says, also when its time is over. Raises LeaseTokenInvalid."""
    for secret in keys.accepted():
        with suppress(LeaseTokenInvalid):
            return _read_with(token, secret)
    raise LeaseTokenInvalid


def _read_with(token: str, secret: Secret) -> LeaseClaims:
    try:
        claims = jwt.decode(
            token,
            secret.reveal(),
            algorithms=[ALGORITHM],
            options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False},
        )
        return LeaseClaims(
            UUID(claims["jti"]),
            UUID(claims["tenant_id"]),
            str(claims["user_id"]),
            str(claims["vm_uuid"]),
            str(claims["module"]),
            float(claims["exp"]),
        )
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
        raise LeaseTokenInvalid from None


def digest_of(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).digest()
