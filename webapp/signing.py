"""A secret that signs, and one more that is accepted beside it while the one takes the other's place.

A rotation has two halves. First every process learns the next secret and still signs with the present one; then they
sign with it, and still accept the one before until a time that was declared. So no token meets a process that does not
know its key, whichever of two releases answers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from webapp.redaction import Secret


@dataclass(frozen=True)
class SigningKeys:
    """`current` signs and seals; `also` is only accepted, until a time in seconds since 1970 (None: without end)."""

    current: Secret
    also: Secret | None = None
    until: float | None = None

    def accepted(self) -> tuple[Secret, ...]:
        """What a signature or a seal may have been made with; the current one first."""
        if self.also is None or (self.until is not None and time.time() >= self.until):
            return (self.current,)
        return (self.current, self.also)
