"""Bearer tokens: access tokens are JWTs (HS256), keys and agent tokens are random; each names its tenant.

Reading one asks nobody. Whether what it stands for is still in force, the database says (`service.vouch`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import jwt

from webapp.caller import Kind
from webapp.errors import TokenForged, TokenInvalid
from webapp.redaction import Secret
from webapp.signing import SigningKeys

ALGORITHM, ISSUER = "HS256", "moorage"
# Letters in front, so that a scanner of repositories and a person know what leaked.
PREFIXES: dict[str, Kind] = {"mk": "key", "ma": "agent"}
_SECRET_BYTES = 32
_REQUIRED = ["sub", "tenant_id", "sid", "iat", "exp", "iss"]


@dataclass(frozen=True)
class Credential:
    """What a token says of itself. `id` is the session, key or agent; None: an outside issuer vouches for `subject`."""

    kind: Kind
    tenant: UUID
    id: UUID | None
    digest: bytes | None = None
    subject: str = ""
    email: str | None = None
    role: str | None = None


@dataclass(frozen=True)
class Opaque:
    """A new random token and the digest to keep of it."""

    token: Secret
    digest: bytes


def access_token(
    secret: Secret, *, tenant: UUID, user_id: str, session_id: UUID, lives: timedelta, email: str | None = None
) -> str:
    """A JWT that stands for a session."""
    now = datetime.now(UTC)
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "sub": user_id,
        "tenant_id": str(tenant),
        "sid": str(session_id),
        "iat": now,
        "exp": now + lives,
    }
    if email:
        claims["email"] = email
    return jwt.encode(claims, secret.reveal(), algorithm=ALGORITHM)


def new_opaque(prefix: str, tenant: UUID, holder: UUID) -> Opaque:
    """A token of a key (`mk`) or an agent (`ma`): `<prefix>_<tenant and holder>_<secret>`."""
    who = base64url(tenant.bytes + holder.bytes)
    token = f"{prefix}_{who}.{base64url(secrets.token_bytes(_SECRET_BYTES))}"
    return Opaque(Secret(token), digest_of(token))


def digest_of(token: str) -> bytes:
    """SHA-256: enough for 256 random bits, which no list of words finds."""
    return hashlib.sha256(token.encode()).digest()


def read(token: str, keys: SigningKeys) -> Credential:
    """What a token of ours says. Raises TokenInvalid."""
    prefix, _, rest = token.partition("_")
    if prefix in PREFIXES:
        return _read_opaque(PREFIXES[prefix], token, rest)
    credential, expires = _read_with_any(token, keys)
    if time.time() >= expires:
        raise TokenInvalid
    return credential


def _read_with_any(token: str, keys: SigningKeys) -> tuple[Credential, float]:
    for secret in keys.accepted():
        with suppress(TokenForged):
            return _read_signed(token, secret)
    raise TokenForged


# A signature that was right stays right: only the time is asked again.
@lru_cache(maxsize=4096)
def _read_signed(token: str, secret: Secret) -> tuple[Credential, float]:
    try:
        claims = jwt.decode(
            token, secret.reveal(), algorithms=[ALGORITHM], issuer=ISSUER, options={"require": _REQUIRED}
        )
        credential = Credential(
            "user",
            UUID(claims["tenant_id"]),
            UUID(claims["sid"]),
            subject=str(claims["sub"]),
            email=claims.get("email"),
        )
        return credential, float(claims["exp"])
    except jwt.ExpiredSignatureError:
        raise TokenInvalid from None
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
        raise TokenForged from None


def holder_of(token: str, prefix: str) -> tuple[UUID, UUID]:
    """Tenant and holder that a random token with this prefix names. Raises TokenInvalid."""
    start, _, rest = token.partition("_")
    if start != prefix:
        raise TokenInvalid
    named = _read_opaque("user", token, rest)
    assert named.id is not None  # noqa: S101 - an opaque token always names its holder
    return named.tenant, named.id


def _read_opaque(kind: Kind, token: str, rest: str) -> Credential:
    who, dot, _ = rest.partition(".")
    try:
        raw = base64.urlsafe_b64decode(who + "=" * (-len(who) % 4))
        if not dot or len(raw) != 32:
            raise TokenInvalid
        return Credential(kind, UUID(bytes=raw[:16]), UUID(bytes=raw[16:]), digest_of(token))
    except (binascii.Error, ValueError):
        raise TokenInvalid from None


def base64url(raw: bytes) -> str:
    """Without padding, as in tokens."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
