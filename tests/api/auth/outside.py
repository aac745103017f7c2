"""Tokens as an outside issuer makes them, good and forged."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import urlsafe_b64encode
from typing import Any
from uuid import uuid4

import orjson

from tests.api.auth.provider import Key, Provider
from webapp.auth.issuers import OutsideIssuer
from webapp.settings import Settings

SUBJECT = "9f0b6f1e-3f3e-4d7e-9a55-2f6c6f0d1c11"


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def claims(provider: Provider, tenant: object, **changes: Any) -> dict[str, Any]:
    """What GoTrue says of a user whose tenant is in app_metadata; None leaves a claim out."""
    now = int(time.time())
    said = {
        "iss": provider.url, "aud": "authenticated", "sub": SUBJECT, "iat": now, "exp": now + 3600,
        "email": "ada@example.org", "role": "authenticated", "aal": "aal1", "session_id": str(uuid4()),
        "app_metadata": {"provider": "email", "tenant_id": str(tenant)}, "user_metadata": {}, **changes,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value is not None}


def token(provider: Provider, key: Key | None = None) -> str:
    return (key or provider.keys[-1]).sign(claims(provider, uuid4()))


def by_hmac(said: dict[str, Any], secret: bytes, kid: str) -> str:
    """As an attacker makes it: PyJWT itself refuses to sign with a public key."""
    parts = [orjson.dumps({"alg": "HS256", "typ": "JWT", "kid": kid}), orjson.dumps(said)]
    text = ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    return f"{text}.{urlsafe_b64encode(hmac.digest(secret, text.encode(), hashlib.sha256)).decode().rstrip('=')}"


def outside(environment: dict[str, str], provider: Provider, clock: Clock | None = None, **more: str) -> OutsideIssuer:
    settings = Settings.parse(environment | {"OIDC_ISSUER": provider.url} | more)
    made = OutsideIssuer.of(settings, clock) if clock else OutsideIssuer.of(settings)
    assert made is not None
    return made
