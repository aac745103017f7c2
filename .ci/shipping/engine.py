"""The Docker engine: builds an image, pushes it, and says by which digest the registry knows it."""

from __future__ import annotations

import os
import re
from dataclasses import replace

from shipping import Refused, run
from shipping.products import Product
from shipping.record import Built, now

# The distribution's own client where another one on the path cannot build (it may lack buildx).
CLIENT = os.environ.get("DOCKER", "docker")
# One image is one manifest with one digest: the attestations are cosign's, and say more.
ENVIRONMENT = {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


def build(product: Product, tag: str, bases: dict[str, str], secrets: list[str], *, commit: str, clean: bool) -> Built:
    """Build one image, with the tag as its version, and write down what it was made of. Raises: Refused.

    Args:
        bases: build arguments that name the base images.
        secrets: BuildKit's (`id=pipconf,src=…`); they reach no layer.
    """
    built = Built(product.name, tag, commit, clean, product.dockerfile, bases, started=now(), finished="")
    words = [CLIENT, "build", "-q", "-f", product.dockerfile, "-t", built.local, "--build-arg", f"VERSION={tag}"]
    for name, value in bases.items():
        words += ["--build-arg", f"{name}={value}"]
    for secret in secrets:
        words += ["--secret", secret]
    words += ["--label", f"org.opencontainers.image.revision={commit}"]
    run([*words, product.context], f"Building {product.name}", ENVIRONMENT)
    return replace(built, finished=now()).save()


def push(built: Built, registry: str, tag: str) -> str:
    """Push an image under a tag; the digest that the registry has for it. Raises: Refused."""
    there = f"{registry}/{built.name}:{tag}"
    run([CLIENT, "tag", built.local, there], f"Tagging {there}", ENVIRONMENT)
    said = run([CLIENT, "push", there], f"Pushing {there}", ENVIRONMENT)
    run([CLIENT, "rmi", there], f"Untagging {there}", ENVIRONMENT)
    return digest_in(said, there)


def digest_in(said: str, there: str) -> str:
    """The digest that `docker push` ends with. Raises: Refused where it names none. Pure."""
    found = re.findall(r"digest: (sha256:[0-9a-f]{64})\b", said)
    if not found:
        raise Refused(f"{there} was pushed, and the engine names no digest for it:\n{said}")
    return str(found[-1])
