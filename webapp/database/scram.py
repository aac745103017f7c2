"""SCRAM-SHA-256 verifiers as PostgreSQL stores them, so that a password is compared and set without being sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

from webapp.redaction import Secret

# PostgreSQL's own default (scram_iterations); RFC 7677 asks for at least this many.
ITERATIONS = 4096
SALT_BYTES = 16

_STORED = re.compile(r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")


def verifier(password: Secret, *, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """What `ALTER ROLE … PASSWORD` takes in place of the password (RFC 5803). Default: a new random salt."""
    salt = salt or secrets.token_bytes(SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.reveal().encode(), salt, iterations)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_b64(salt)}${_b64(stored_key)}:{_b64(server_key)}"


def fits(password: Secret, stored: str | None) -> bool:
    """Is this the password that the stored verifier was made of? False for anything that is no SCRAM verifier."""
    parts = _STORED.fullmatch(stored or "")
    if parts is None:
        return False
    again = verifier(password, salt=base64.b64decode(parts[2]), iterations=int(parts[1]))
    return hmac.compare_digest(again, parts[0])


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
