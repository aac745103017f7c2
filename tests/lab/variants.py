"""Variants of the product's images: one that was pushed, with something put on top, under a tag of its own.

Built from the pushed image, so that a variant costs a layer and not a build of the product.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.cache import key_of, lock
from tests.lab.engine import Engine
from tests.lab.errors import LabError
from tests.lab.product import PRODUCTS, Product
from tests.lab.progress import say
from tests.lab.services import Registry

PRODUCT = {product.name: product for product in PRODUCTS}


@dataclass(frozen=True)
class Change:
    """What goes on top of an image: lines of a Dockerfile, run as root, and the files that they copy."""

    dockerfile: str
    files: Mapping[str, str] = field(default_factory=dict)


# Stands in front of the control plane's one command, and spoils one of its parts.
_SPOILT = """\
#!/bin/sh
if [ "$1" = {part} ]; then echo "practice: {words}" >&2; exit 3; fi
exec /opt/venv/bin/moorage-whole "$@"
"""
_IN_FRONT = "RUN mv /opt/venv/bin/moorage /opt/venv/bin/moorage-whole\nCOPY --chmod=0755 moorage /opt/venv/bin/moorage"


def _spoilt(part: str, words: str) -> Change:
    return Change(_IN_FRONT, {"moorage": _SPOILT.format(part=part, words=words)})


_WRONG = """\
{
	admin off
	auto_https off
}
:8080 {
	respond /version.json 200
	respond 500
}
"""

# Images that must never serve, by product and by what is wrong with them. What they say begins with `practice:`.
BROKEN = {
    "controlplane": {
        "never-healthy": _spoilt("health", "this one never gets well"),
        "crash-loop": _spoilt("serve", "this one ends at once"),
        "failing-setup": _spoilt("setup", "this one cannot migrate"),
        "failing-smoke": _spoilt("smoke", "this one finds nothing behind it"),
    },
    "frontend": {
        "never-healthy": Change('HEALTHCHECK --interval=1s --retries=2 CMD ["false"]'),
        "crash-loop": Change('CMD ["sh", "-c", "echo practice: this one ends at once >&2; exit 3"]'),
        # Healthy to its own check, and wrong to everybody else.
        "wrong-answer": Change("COPY Caddyfile /srv/Caddyfile", {"Caddyfile": _WRONG}),
    },
}


def push_variant(
    engine: Engine, registry: Registry, product: str, tag: str, base: str, change: Change
) -> dict[str, str]:
    """Push `product`'s image at the tag `base`, changed, under `tag`; return its image, tag and digest.

    The other products get the tag on what they are at `base`; to change two of them, make the second variant with the
    first one's tag as its base. The same change of the same image is built once. Raises LabError for a base or product
    that there is not, and CommandError.
    """
    named = _named(product)
    standing_on = registry.digest(named.repository, base)
    if standing_on is None:
        raise LabError(f"{named.repository}:{base} is not in the lab's registry: push it before its variants.")
    files = [word for name in sorted(change.files) for word in (name, change.files[name])]
    seal = f"variant-{key_of(standing_on, change.dockerfile, *files)}"
    with lock(f"product-{product}"):
        digest = registry.digest(named.repository, seal)
        if digest is None:
            digest = _build_and_push(engine, registry, named, seal, standing_on, change)
        if registry.digest(named.repository, tag) != digest:
            registry.tag(named.repository, seal, tag)
    # A release asks for every product under one tag.
    for other in PRODUCTS:
        there = None if other == named else registry.digest(other.repository, base)
        if there not in {None, registry.digest(other.repository, tag)}:
            registry.tag(other.repository, base, tag)
    return {"image": f"{registry.name}/{named.repository}", "tag": tag, "digest": digest}


def broken(product: str, kind: str) -> Change:
    """What makes an image of `product` that must never serve. Raises LabError for a kind that there is not."""
    kinds = BROKEN[_named(product).name]
    if kind not in kinds:
        raise LabError(f"{product} cannot be broken as {kind!r}; there are: {', '.join(kinds)}.")
    return kinds[kind]


def _named(product: str) -> Product:
    if product not in PRODUCT:
        raise LabError(f"There is no product {product!r}; there are: {', '.join(PRODUCT)}.")
    return PRODUCT[product]


def _build_and_push(
    engine: Engine, registry: Registry, product: Product, seal: str, standing_on: str, change: Change
) -> str:
    say(f"building {product.repository} {seal}", "docker build")
    base = f"{registry.outside}/{product.repository}@{standing_on}"
    image = f"moorage-lab/{product.name}:{seal}"
    engine.run("pull", "-q", base)
    user = engine.inspect("image", base, "{{.Config.User}}") or "root"
    with tempfile.TemporaryDirectory() as scratch:
        context = Path(scratch)
        (context / "Dockerfile").write_text(f"FROM {base}\nUSER root\n{change.dockerfile}\nUSER {user}\n")
        for name, content in change.files.items():
            path = context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        engine.run("build", "-q", "-t", image, scratch)
    try:
        return registry.push(image, product.repository, seal)
    finally:
        engine.attempt("rmi", image, base)
