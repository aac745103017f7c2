"""cosign: signs an image by digest, attaches what is known of it, and verifies all of that before a deploy.

On GitHub the signature is the workflow's own identity (keyless). Elsewhere it is a key pair: SIGNING_KEY signs,
VERIFY_KEY verifies, and nothing is written to the public transparency log.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipping import ROOT, Refused, run
from shipping.record import Built

COSIGN = str(ROOT / ".ci/cosign")
ISSUER = "https://token.actions.githubusercontent.com"
SBOM, PROVENANCE = "cyclonedx", "slsaprovenance1"
# A key without a password, unless one is given: cosign would ask for it, and nobody is there.
ENVIRONMENT = {"COSIGN_PASSWORD": "", **os.environ}


@dataclass(frozen=True)
class Signer:
    """How to sign and how to verify, as options of cosign; and what else every call needs."""

    signing: tuple[str, ...]
    verifying: tuple[str, ...]


def signer(environment: Mapping[str, str]) -> Signer:
    """Who signs here, and whose signature counts. Pure.

    A key's, VERIFY_KEY; else that of this repository's images.yml, run for one of SIGNED_BRANCHES (`main,develop`).
    """
    signing: tuple[str, ...] = ("--yes",)
    if environment.get("SIGNING_KEY"):
        signing += ("--key", environment["SIGNING_KEY"], "--tlog-upload=false")
    verifying: tuple[str, ...] = ()
    if environment.get("VERIFY_KEY"):
        verifying = ("--key", environment["VERIFY_KEY"], "--insecure-ignore-tlog")
    elif environment.get("SIGNED_BRANCHES") and environment.get("GITHUB_REPOSITORY"):
        repository = f"{environment['GITHUB_SERVER_URL']}/{environment['GITHUB_REPOSITORY']}"
        branches = "|".join(re.escape(branch.strip()) for branch in environment["SIGNED_BRANCHES"].split(","))
        identity = rf"^{re.escape(repository)}/\.github/workflows/images\.yml@refs/heads/({branches})$"
        verifying = ("--certificate-identity-regexp", identity, "--certificate-oidc-issuer", ISSUER)
    return Signer(signing, verifying)


def transport(reference: str) -> tuple[str, ...]:
    """A registry on loopback speaks HTTP; every other one must not. Pure."""
    # cosign 2.5's verify heeds only the second of them, its verify-attestation only the first.
    plain = ("--allow-http-registry", "--allow-insecure-registry")
    return plain if reference.startswith(("127.", "localhost:")) else ()


def attest(built: Built, who: Signer) -> None:
    """Attach the bill of materials and the provenance to the image, signed. Raises: Refused."""
    for kind, document in ((SBOM, "sbom"), (PROVENANCE, "provenance")):
        options = ["--type", kind, "--predicate", str(built.document(document))]
        command = [COSIGN, "attest", "--replace", *options, *who.signing, *transport(built.reference), built.reference]
        run(command, f"Attaching the {document} to {built.reference}", ENVIRONMENT)


def sign(built: Built, who: Signer) -> None:
    """Sign the image by digest. The tag is in the signature: one image is not passed off under another's tag."""
    command = [COSIGN, "sign", "-a", f"tag={built.tag}", *who.signing, *transport(built.reference), built.reference]
    run(command, f"Signing {built.reference}", ENVIRONMENT)


def verify(repository: str, tag: str, who: Signer) -> str:
    """The digest behind a tag, if it was signed as that tag and has its documents, by who may. Raises: Refused."""
    if not who.verifying:
        raise Refused("Nobody's signature counts yet: set VERIFY_KEY to a public key (on GitHub: SIGNED_BRANCHES).")
    options = [*who.verifying, *transport(repository)]
    there = f"{repository}:{tag}"
    said = run([COSIGN, "verify", "-o", "json", "-a", f"tag={tag}", *options, there], f"Verifying {there}")
    digest = digest_signed(json.loads(said), there)
    for kind in (SBOM, PROVENANCE):
        command = [COSIGN, "verify-attestation", "--type", kind, *options, f"{repository}@{digest}"]
        run(command, f"Verifying the {kind} document of {there}")
    return digest


def digest_signed(signatures: list[dict[str, Any]], there: str) -> str:
    """The one digest that the signatures are about. Raises: Refused. Pure."""
    digests = {each["critical"]["image"]["docker-manifest-digest"] for each in signatures}
    if len(digests) != 1:
        raise Refused(f"{there}: its signatures are about {sorted(digests) or 'nothing'}.")
    return str(digests.pop())
