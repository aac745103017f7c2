"""Every refusal of a download that can be brought about over HTTP, one at a time, everything else being in order."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import jwt

from webapp.artifacts.service import ResolutionNotFound, rules
from webapp.errors import InvalidRequest, MissingBearerToken, MoorageError, TokenInvalid
from webapp.licensing.service import lease_rules, lease_tokens
from webapp.redaction import Secret
from webapp.smoke.plane import Answer
from webapp.smoke.scene import Scene

# What only a fault, or somebody at the database, brings about.
FROM_INSIDE: tuple[tuple[str, type[MoorageError] | None], ...] = (
    ("a machine's record deleted under its lease", lease_rules.VmNotRegistered),
    ("a release deleted under its assignment", rules.ReleaseNotFound),
    ("an object store that is down, or answers nonsense", None),
)


@dataclass(frozen=True)
class Case:
    """A call that has to be refused with one error, while something is so."""

    what: str
    error: type[MoorageError]
    ask: Callable[[], Answer]
    during: AbstractContextManager[None] = field(default_factory=nullcontext)


def cases(scene: Scene) -> Iterator[Case]:
    yield from _bearers(scene)
    yield from _tokens(scene)
    yield from _machines(scene)
    yield from _entitlements(scene)
    yield from _releases(scene)
    yield Case("a body without its fields", InvalidRequest,
               lambda: scene.plane.call("POST", "/artifacts/resolve-download", {}))  # fmt: skip
    report = {"resolution_id": "0", "lease_token": scene.lease["token"], "outcome": "verified"}
    yield Case("a report of no download", ResolutionNotFound,
               lambda: scene.plane.call("POST", "/artifacts/report-download", report))  # fmt: skip


def unlicensed(scene: Scene) -> Case:
    """Only where no licence of the whole tenant stands behind the user's own."""
    return Case("a licence suspended", lease_rules.LicenseInactive, scene.resolve, scene.unlicensed())


def strangers(scene: Scene, bearer: Secret) -> Case:
    return Case("another tenant's bearer", lease_rules.LeaseNotFound, lambda: scene.resolve(bearer=bearer))


def revoked(scene: Scene) -> Iterator[Case]:
    """Once the lease is revoked: nothing comes after it."""
    scene.made("POST", "/license/revoke", {"lease_id": scene.lease["lease_id"], "reason": "moorage smoke"})
    yield Case("a revoked lease", lease_rules.LeaseInactive, scene.resolve)
    beat = {"lease_id": scene.lease["lease_id"]}
    yield Case(
        "a heartbeat of it", lease_rules.LeaseInactive, lambda: scene.plane.call("POST", "/license/heartbeat", beat)
    )


def _bearers(scene: Scene) -> Iterator[Case]:
    yield Case("no bearer", MissingBearerToken, lambda: scene.resolve(bearer=Secret("")))
    yield Case("a bearer that is none", TokenInvalid, lambda: scene.resolve(bearer=Secret(secrets.token_urlsafe(32))))


def _tokens(scene: Scene) -> Iterator[Case]:
    token: str = scene.lease["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    head, _, signature = token.split(".")
    other = jwt.encode({**claims, "module": "*"}, secrets.token_hex(32), algorithm="HS256")
    forged = {
        "a lease token that is none": "a.b.c",
        "a lease token without a signature (alg: none)": jwt.encode(claims, "", algorithm="none"),
        "a lease token signed by somebody else": jwt.encode(claims, secrets.token_hex(32), algorithm="HS256"),
        "a lease token with other claims": f"{head}.{other.split('.')[1]}.{signature}",
    }
    for what, text in forged.items():
        yield Case(what, lease_tokens.LeaseTokenInvalid, partial(scene.resolve, lease_token=text))
    unknown = {"lease_id": "00000000-0000-4000-8000-000000000000"}
    yield Case("a heartbeat of no lease", lease_rules.LeaseNotFound,
               lambda: scene.plane.call("POST", "/license/heartbeat", unknown))  # fmt: skip


def _machines(scene: Scene) -> Iterator[Case]:
    yield Case("another machine's UUID", rules.VmUuidMismatch, lambda: scene.resolve(vm_uuid=f"{scene.name}-2"))
    yield Case("a lease for a machine that is not registered", lease_rules.VmNotRegistered,
               lambda: scene.ask_lease(vm_uuid=f"{scene.name}-2"))  # fmt: skip
    yield Case("a machine paused", lease_rules.VmInactive, scene.resolve, scene.machine(status="paused"))
    yield Case("a machine given to another user", lease_rules.VmOwnerMismatch, scene.resolve,
               scene.machine(user_id=f"{scene.name}-2"))  # fmt: skip


def _entitlements(scene: Scene) -> Iterator[Case]:
    yield Case("another module", rules.ModuleMismatch, lambda: scene.resolve(module=f"{scene.name}-2"))
    yield Case("an entitlement withdrawn", lease_rules.EntitlementRequired, scene.resolve, scene.entitled_to())
    yield Case("an entitlement for another module", lease_rules.ModuleNotAllowed, scene.resolve,
               scene.entitled_to(f"{scene.name}-2"))  # fmt: skip


def _releases(scene: Scene) -> Iterator[Case]:
    yield Case("a platform that nothing is assigned for", rules.AssignmentNotFound,
               lambda: scene.resolve(platform="smoke-2"))  # fmt: skip
    yield Case("a release disabled", rules.ReleaseNotActive, scene.resolve, scene.held_back())
    yield Case("a release whose object is not there", rules.ObjectMissing, scene.resolve,
               scene.handing_out(object_key=f"{scene.given['object_key']}.{scene.name}"))  # fmt: skip
    yield Case("a release whose object has another size", rules.ObjectMismatch, scene.resolve,
               scene.handing_out(size_bytes=scene.given["size_bytes"] + 1))  # fmt: skip
    yield Case("an assignment of no release", rules.ReleaseNotFound, lambda: scene.assign(2**53 - 1))
    yield Case("an assignment of another platform's release", rules.ScopeMismatch,
               lambda: scene.assign(scene.release_id, platform="smoke-2"))  # fmt: skip
