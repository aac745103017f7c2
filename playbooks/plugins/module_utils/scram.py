"""SCRAM-SHA-256 verifiers as PostgreSQL stores them: a password is set without any log or statement having it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

# PostgreSQL's own default (scram_iterations); RFC 7677 asks for at least this many.
ITERATIONS = 4096


def verifier(password: str) -> str:
    """What `ALTER ROLE … PASSWORD` takes in place of the password (RFC 5803)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    coded = [base64.b64encode(raw).decode() for raw in (salt, stored, server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{coded[0]}${coded[1]}:{coded[2]}"
