"""What a download needs, in the contract's order, as pure functions of facts, and the words for each refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from webapp.errors import MoorageError
from webapp.licensing.service import lease_rules, lease_tokens


class VmUuidMismatch(MoorageError):
    status, code, message = 403, "VM_UUID_MISMATCH", "The lease is for another machine."


class ModuleMismatch(MoorageError):
    status, code, message = 403, "MODULE_MISMATCH", "The lease is for another module."


class AssignmentNotFound(MoorageError):
    status, code = 404, "ARTIFACT_ASSIGNMENT_NOT_FOUND"
    message = "Nothing is assigned for this module, platform and channel, to this user or to everybody."


class ReleaseNotFound(MoorageError):
    status, code, message = 404, "ARTIFACT_RELEASE_NOT_FOUND", "There is no such release."


class ReleaseNotActive(MoorageError):
    status, code, message = 409, "ARTIFACT_RELEASE_NOT_ACTIVE", "The assigned release is not active."


class ObjectMissing(MoorageError):
    status, code, message = 404, "ARTIFACT_OBJECT_NOT_FOUND", "The release's object is not in the bucket."


class ObjectMismatch(MoorageError):
    status, code = 409, "ARTIFACT_OBJECT_MISMATCH"
    message = "The object in the bucket has another size than the release says."


class ScopeMismatch(MoorageError):
    status, code = 409, "ARTIFACT_SCOPE_MISMATCH"
    message = "The release is of another module, platform or channel than the assignment."


@dataclass(frozen=True)
class Asked:
    """What the request says: the token's claims, the bearer's tenant, the machine and the module; `now` in seconds."""

    claims: lease_tokens.LeaseClaims
    same_tenant: bool
    vm_uuid: str
    module: str
    now: float


@dataclass(frozen=True)
class Known:
    """What the database says. `lease_status` None: no such lease; `release_status` None: no release."""

    lease_status: str | None
    lease_over: bool
    standing: lease_rules.Standing
    assigned: bool
    release_status: str | None
    object_is_ours: bool


Rule = tuple[type[MoorageError], Callable[[Asked], bool]]
KnownRule = tuple[type[MoorageError], Callable[[Known], bool]]

BEFORE: tuple[Rule, ...] = (
    (lease_rules.LeaseNotFound, lambda asked: not asked.same_tenant),
    (lease_rules.LeaseExpired, lambda asked: asked.now >= asked.claims.expires),
    (VmUuidMismatch, lambda asked: asked.vm_uuid != asked.claims.vm_uuid),
    (ModuleMismatch, lambda asked: asked.module != asked.claims.module),
)
LEASE: tuple[KnownRule, ...] = (
    (lease_rules.LeaseNotFound, lambda known: known.lease_status is None),
    (lease_rules.LeaseInactive, lambda known: known.lease_status != "active"),
    (lease_rules.LeaseExpired, lambda known: known.lease_over),
)
RELEASE: tuple[KnownRule, ...] = (
    (AssignmentNotFound, lambda known: not known.assigned),
    (ReleaseNotFound, lambda known: known.release_status is None),
    (ReleaseNotActive, lambda known: known.release_status != "active"),
    (ObjectMissing, lambda known: not known.object_is_ours),
)


def refusals_of(asked: Asked) -> Iterator[type[MoorageError]]:
    """What already the request's own words forbid."""
    return (error for error, blocks in BEFORE if blocks(asked))


def refusals(known: Known) -> Iterator[type[MoorageError]]:
    """What the database's facts forbid, the one to tell first."""
    yield from (error for error, blocks in LEASE if blocks(known))
    yield from lease_rules.refusals(known.standing)
    yield from (error for error, blocks in RELEASE if blocks(known))


EVERY = (
    lease_tokens.LeaseTokenInvalid,
    *dict.fromkeys([error for error, _ in (*BEFORE, *LEASE, *lease_rules.RULES, *RELEASE)]),
    ObjectMismatch,
)
