"""Images of the host's engine: what is here, what has to be fetched."""

from __future__ import annotations

import json

from ansible.module_utils.compose_state import CommandFailed, run
from ansible.module_utils.engine_api import registry_digest

# A slow line and a large image; a pull that hangs for longer than this will not end.
PULL_SECONDS = 1800


def present(reference: str) -> bool:
    """Whether the engine has an image."""
    try:
        run(["docker", "image", "inspect", "--format", "{{.Id}}", reference], "/")
    except CommandFailed:
        return False
    return True


def pull(reference: str) -> None:
    """Fetch an image by its digest, unless it is here: then no registry is asked.

    Raises:
        CommandFailed: with the engine's words.
    """
    if not present(reference):
        run(["docker", "pull", "--quiet", reference], "/", timeout=PULL_SECONDS)


def pulled_digest(image: str, tag: str) -> str:
    """Pull a tag; the digest it stood for.

    Raises:
        CommandFailed: with the engine's words.
    """
    run(["docker", "pull", "--quiet", f"{image}:{tag}"], "/", timeout=PULL_SECONDS)
    known = json.loads(run(["docker", "image", "inspect", f"{image}:{tag}"], "/"))[0]["RepoDigests"]
    for reference in known:
        name, _, digest = reference.partition("@")
        if name == image:
            return str(digest)
    raise CommandFailed(f"{image}:{tag} was pulled but the engine names no digest for it (only {known})")


def resolved(image: str, tag: str, verified: dict[str, str], check_mode: bool) -> str:
    """The digest that a tag stands for: of what was pulled, or, in check mode, what the registry says.

    Raises:
        CommandFailed, OSError: it cannot be had, or is not the one that was verified.
    """
    digest = registry_digest(f"{image}:{tag}") if check_mode else pulled_digest(image, tag)
    return as_verified(image, digest, verified)


def as_verified(image: str, digest: str, verified: dict[str, str]) -> str:
    """The digest, where it is the one whose signature was verified, or none was asked for. Pure.

    Raises:
        CommandFailed: the tag has been moved since.
    """
    if verified.get(image, digest) != digest:
        raise CommandFailed(f"the tag stands for {digest} now, and {verified[image]} is what was verified")
    return digest
