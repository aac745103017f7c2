"""A command as it is handed to the agent, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from agent.pace import timestamp
from agent.redaction import redact_text, scrub

# A frame is 256 KiB at most, and carries the command's id and its own words beside the result.
MOST_RESULT_BYTES = 240_000
MOST_ERROR_CHARACTERS = 2000

SUCCEEDED, FAILED, EXPIRED, CANCELLED = "succeeded", "failed", "expired", "cancelled"


@dataclass(frozen=True)
class Command:
    """`command_type` is `<executor>.<action>` (`proxmox.start`), `payload` the action's parameters; `expires_at` in
    seconds since the epoch by the server's clock, None where it never expires."""

    id: str
    command_type: str
    payload: dict[str, Any]
    expires_at: float | None = None


def parse(data: object) -> Command | None:
    """The command of a frame or an answer; None where it is none that could be run or even named."""
    if not isinstance(data, dict):
        return None
    known, kind, payload = data.get("id"), data.get("command_type"), data.get("payload")
    if not isinstance(known, str) or not 0 < len(known) <= 200 or not isinstance(kind, str):
        return None
    return Command(known, kind, payload if isinstance(payload, dict) else {}, timestamp(data.get("expires_at")))


@dataclass(frozen=True)
class Outcome:
    """How a command ended. `result` only where it succeeded, `error_message` only where it did not."""

    status: str
    result: Any = None
    error_message: str | None = None

    def fields(self) -> dict[str, Any]:
        """As the contract names them; a field without a value is left out."""
        found = {"status": self.status, "result": self.result, "error_message": self.error_message}
        return {name: value for name, value in found.items() if value is not None}


def failed(code: str, words: str) -> Outcome:
    """Redacted and cut to what a frame may carry."""
    return Outcome(FAILED, error_message=redact_text(f"{code}: {words}")[:MOST_ERROR_CHARACTERS])


def succeeded(result: Any, *, reads_only: bool) -> Outcome:
    """The result without secrets. One too large for a frame: a failure where nothing was changed by asking, else a note
    in its place, since the command has taken effect."""
    result = scrub(result)
    size = len(orjson.dumps(result))
    if size <= MOST_RESULT_BYTES:
        return Outcome(SUCCEEDED, result=result)
    if reads_only:
        return failed("RESULT_TOO_LARGE", f"the answer has {size} bytes, and {MOST_RESULT_BYTES} can be sent."
                      " Ask for less, for example one node with `node`.")
    return Outcome(SUCCEEDED, result={"left_out": f"a result of {size} bytes"})
