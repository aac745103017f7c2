"""Passwords as Argon2id digests (OWASP's first choice: 19 MiB, 2 passes, 1 lane)."""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from webapp.errors import MoorageError

SHORTEST, LONGEST = 10, 200
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class PasswordRefused(MoorageError):
    status, code = 400, "PASSWORD_REFUSED"
    message = f"A password has {SHORTEST} to {LONGEST} characters and is not the e-mail address."


def digest(password: str, *, email: str) -> str:
    """What to keep of a new password. Raises PasswordRefused."""
    if not SHORTEST <= len(password) <= LONGEST or password.lower() == email:
        raise PasswordRefused
    return _HASHER.hash(password)


def right(kept: str | None, password: str) -> bool:
    """Is it the password? Takes as long where there is none to compare with, so that nobody learns of it."""
    try:
        return _HASHER.verify(kept or _nobodys(), password) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(kept: str) -> bool:
    """Was it made with other parameters than today's?"""
    return _HASHER.check_needs_rehash(kept)


@cache
def _nobodys() -> str:
    return _HASHER.hash("a password that nobody has")
