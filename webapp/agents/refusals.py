"""What can be wrong with an agent or a pairing code, in the contract's words."""

from __future__ import annotations

from webapp.errors import MoorageError


class AgentNotFound(MoorageError):
    status, code, message = 404, "AGENT_NOT_FOUND", "There is no such agent in this tenant."


class AgentOwnerMismatch(MoorageError):
    status, code = 403, "AGENT_OWNER_MISMATCH"
    message = "This agent belongs to another user. Its owner, or an admin or infra, may do this."


class AgentRevoked(MoorageError):
    status, code = 409, "AGENT_REVOKED"
    message = "This agent was revoked and stays so. Pair its machine anew to use it again."


class AgentNotActive(MoorageError):
    status, code = 409, "AGENT_NOT_ACTIVE"
    message = "This agent has not registered yet: its pairing code has not been used."


class AgentOffline(MoorageError):
    status, code = 409, "AGENT_OFFLINE"
    message = (
        "This agent is not connected, and nothing was queued. Try again when it is, or create the command with"
        ' "offline": "queue_until_expiry".'
    )


class AlreadyRevoked(MoorageError):
    status, code, message = 409, "ALREADY_REVOKED", "This agent was revoked before."


class PairingNotFound(MoorageError):
    status, code = 404, "PAIRING_NOT_FOUND"
    message = "No pairing has this code. Check it for a slip, or have a new one made."


class PairingExpired(MoorageError):
    status, code = 410, "PAIRING_EXPIRED"
    message = "This pairing code was used, or is too old. Have a new one made: a code works once."
