"""What can be wrong with a record, in the contract's words."""

from __future__ import annotations

from webapp.errors import MoorageError


class RecordNotFound(MoorageError):
    status, code, message = 404, "NOT_FOUND", "There is no such record in this tenant."


class RecordExists(MoorageError):
    status, code, message = 409, "RECORD_EXISTS", "The collection has a record of this id already."


class TransitionRefused(MoorageError):
    """Details: `state`, and what may follow it."""

    status, code = 409, "TRANSITION_REFUSED"
    message = "This state does not follow the bot's present one; details.allowed names those that do."


class WritesFrozen(MoorageError):
    """`seconds`: for how long at most."""

    status, code = 503, "WRITES_FROZEN"
    message = "Records are being moved to another store. They can be read, and written again in a few minutes."
    # A switch takes seconds; its limit is for the one that goes wrong.
    MOST_PATIENCE = 10

    def __init__(self, seconds: int = MOST_PATIENCE) -> None:
        super().__init__()
        self.seconds = seconds

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(max(1, min(self.seconds, self.MOST_PATIENCE)))}


__all__ = ["RecordExists", "RecordNotFound", "TransitionRefused", "WritesFrozen"]
