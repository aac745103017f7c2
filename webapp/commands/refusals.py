"""What can be wrong with a command, in the contract's words."""

from __future__ import annotations

from webapp.errors import MoorageError


class CommandNotFound(MoorageError):
    status, code, message = 404, "COMMAND_NOT_FOUND", "There is no such command."


class CommandFinished(MoorageError):
    status, code = 409, "COMMAND_FINISHED"
    message = "This command has come to its end, which nothing changes any more."


class CommandOwnerMismatch(MoorageError):
    status, code = 403, "AGENT_OWNER_MISMATCH"
    message = "This command's agent belongs to another user. Its owner, or an admin or infra, may do this."


class VmOpsInvalidAction(MoorageError):
    status, code, message = 400, "VM_OPS_INVALID_ACTION", "There is no such action; details lists those there are."

    def __init__(self, action: str, known: tuple[str, ...]) -> None:
        super().__init__(
            "This action is not known. details.actions names those that are.",
            details={"action": action[:100], "actions": list(known)},
        )


class PayloadTooLarge(MoorageError):
    status, code = 413, "PAYLOAD_TOO_LARGE"
    message = "A command reaches its agent in one frame: its payload has at most 240,000 bytes of JSON."


class AgentTimeout(MoorageError):
    status, code = 504, "AGENT_TIMEOUT"
    message = "The agent did not bring the result in time. details.command_id is the command it may still be at."


class AgentCommandFailed(MoorageError):
    status, code, message = 502, "AGENT_COMMAND_FAILED", "The agent could not do it."
