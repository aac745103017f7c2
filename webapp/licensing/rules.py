"""What a lease needs, as pure functions of facts, and the words for each refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from webapp.errors import MoorageError


class VmNotRegistered(MoorageError):
    status, code, message = 404, "VM_NOT_REGISTERED", "This machine is not registered: POST /api/v1/vm/register."


class VmUuidNotFound(MoorageError):
    status, code, message = 404, "VM_UUID_NOT_FOUND", "No machine with this UUID is registered here."


class VmInactive(MoorageError):
    status, code, message = 403, "VM_INACTIVE", "This machine is paused or revoked."


class VmOwnerMismatch(MoorageError):
    status, code, message = 403, "VM_OWNER_MISMATCH", "This machine belongs to another user."


class LicenseInactive(MoorageError):
    status, code, message = 403, "LICENSE_INACTIVE", "No licence of this tenant or user is in force."


class EntitlementRequired(MoorageError):
    status, code, message = 403, "ENTITLEMENT_REQUIRED", "This user is entitled to no module."


class ModuleNotAllowed(MoorageError):
    status, code, message = 403, "MODULE_NOT_ALLOWED", "This user is not entitled to this module."


class LeaseNotFound(MoorageError):
    status, code, message = 404, "LEASE_NOT_FOUND", "There is no such lease."


class LeaseOwnerMismatch(MoorageError):
    status, code, message = 403, "LEASE_OWNER_MISMATCH", "This lease is another user's."


class LeaseInactive(MoorageError):
    status, code, message = 409, "LEASE_INACTIVE", "This lease was revoked. Take a new one."


class LeaseExpired(MoorageError):
    status, code, message = 409, "LEASE_EXPIRED", "This lease is past its time. Take a new one."


@dataclass(frozen=True)
class Standing:
    """What the database knows of a user's right to a module on a machine. `vm_status` None: not registered."""

    user_id: str
    vm_status: str | None
    vm_user_id: str | None
    licensed: bool
    entitled: bool
    module_allowed: bool


Rule = tuple[type[MoorageError], Callable[[Standing], bool]]

# In the contract's order: the first that blocks is what the client is told.
RULES: tuple[Rule, ...] = (
    (VmNotRegistered, lambda facts: facts.vm_status is None),
    (VmInactive, lambda facts: facts.vm_status != "active"),
    (VmOwnerMismatch, lambda facts: facts.vm_user_id != facts.user_id),
    (LicenseInactive, lambda facts: not facts.licensed),
    (EntitlementRequired, lambda facts: not facts.entitled),
    (ModuleNotAllowed, lambda facts: not facts.module_allowed),
)


def refusals(facts: Standing) -> list[type[MoorageError]]:
    """Every reason against it, the one to tell first."""
    return [error for error, blocks in RULES if blocks(facts)]
