"""Tokens of an outside issuer, such as Supabase's GoTrue: it says who somebody is, our memberships what they may do."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from typing import Any, Self
from uuid import UUID

import orjson

from webapp.auth.fetched import Unreachable
from webapp.auth.jwks import Expired, Keys, NotGood, verified
from webapp.auth.tokens import Credential
from webapp.auth.tokens import read as read_ours
from webapp.errors import ServiceUnavailable, TokenForged, TokenInvalid
from webapp.fields import uuid_of
from webapp.redaction import Secret
from webapp.settings_identity import IdentitySettings
from webapp.signing import SigningKeys

WELL_KNOWN = "/.well-known/jwks.json"
LONGEST_SUBJECT, LONGEST_EMAIL = 200, 254


class IssuerUnavailable(ServiceUnavailable):
    message = "The issuer of this token does not answer just now: nobody can say whether it is good. Try again shortly."


class OutsideIssuer:
    """The one issuer beside ourselves whose tokens count."""

    def __init__(
        self, issuer: str, keys: Keys, *, audience: str, tenant_claim: str, shared: Secret | None = None
    ) -> None:
        self._issuer, self._keys, self._audience = issuer, keys, audience
        self._tenant_claim, self._shared = tenant_claim, shared

    @classmethod
    def of(cls, settings: IdentitySettings, clock: Callable[[], float] = time.monotonic) -> Self | None:
        """None where no issuer is configured. Nothing is fetched here."""
        issuer = settings.oidc_issuer
        if issuer is None:
            return None
        return cls(
            issuer,
            Keys(settings.oidc_jwks_url or issuer.rstrip("/") + WELL_KNOWN, clock),
            audience=settings.oidc_audience,
            tenant_claim=settings.oidc_tenant_claim,
            shared=settings.oidc_hs256_secret,
        )

    def is_named_by(self, token: str) -> bool:
        """Does the token say that it is this issuer's? Nothing is verified yet."""
        return _issuer_named(token) == self._issuer

    def read(self, token: str) -> Credential:
        """Whom the token stands for. Raises TokenInvalid, IssuerUnavailable."""
        try:
            claims = verified(
                token, self._keys, issuers=[self._issuer], audience=self._audience, shared=self._shared
            )
        except Expired:
            raise TokenInvalid from None
        except NotGood:
            raise TokenForged from None
        except Unreachable:
            raise IssuerUnavailable from None
        subject, email, tenant = claims["sub"], claims.get("email"), self._tenant(claims)
        if tenant is None or not 1 <= len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
            raise TokenInvalid
        usable = isinstance(email, str) and 1 <= len(email) <= LONGEST_EMAIL and email.isprintable()
        return Credential("user", tenant, None, subject=subject, email=email if usable else None)

    def _tenant(self, claims: dict[str, Any]) -> UUID | None:
        # app_metadata is the issuer's own; user_metadata, which people may change themselves, is not asked.
        found, inner = claims.get(self._tenant_claim), claims.get("app_metadata")
        if found is None and isinstance(inner, dict):
            found = inner.get(self._tenant_claim)
        return uuid_of(found) if isinstance(found, str) else None


def read(token: str, keys: SigningKeys, outside: OutsideIssuer | None = None) -> Credential:
    """What a token of ours, or of the outside issuer's, says. Raises TokenInvalid, IssuerUnavailable."""
    if outside is not None and outside.is_named_by(token):
        return outside.read(token)
    return read_ours(token, keys)


def _issuer_named(token: str) -> object:
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    return claims.get("iss") if isinstance(claims, dict) else None
