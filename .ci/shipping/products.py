"""What is built: the images of `.ci/images.yml`, and what their Dockerfiles stand on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shipping import ROOT, Refused, run

DECLARED = ROOT / ".ci/images.yml"
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
# A registry and the path in it: what ends up in commands, so nothing that is none.
REGISTRY = re.compile(r"[a-z0-9][a-z0-9.-]*(?::\d{1,5})?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_BASE = re.compile(r"^ARG[ \t]+(?P<argument>\w+_IMAGE)=(?P<image>\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Product:
    """One image: its name in the registry, its Dockerfile, and the folder it is built in."""

    name: str
    dockerfile: str
    context: str

    @property
    def bases(self) -> dict[str, str]:
        """Build arguments that name the images it stands on, each with the Dockerfile's own choice."""
        return bases_of((ROOT / self.dockerfile).read_text())


@dataclass(frozen=True)
class Declared:
    """`.ci/images.yml`: the products, and base images with their references by digest (empty: not pinned)."""

    products: tuple[Product, ...]
    pins: dict[str, str]


def bases_of(dockerfile: str) -> dict[str, str]:
    """The `ARG …_IMAGE=` of a Dockerfile."""
    return {match["argument"]: match["image"] for match in _BASE.finditer(dockerfile)}


def declared(path: Path = DECLARED) -> Declared:
    """What is declared. Raises: Refused where the file is not of that form."""
    try:
        content: dict[str, Any] = yaml.safe_load(path.read_text())
        products = tuple(Product(name, each["dockerfile"], each["context"]) for name, each in content["images"].items())
        return Declared(products, dict(content["stack_pins"]))
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"{path.name} needs `images` (dockerfile, context) and `stack_pins`: {error}") from error


def arguments_of(product: Product, pins: dict[str, str], given: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The base images to build on, and those of them that only a tag names. Pure.

    Args:
        pins: images to their references by digest.
        given: build arguments from the command line; they win.
    """
    chosen = {}
    for argument, image in product.bases.items():
        chosen[argument] = given.get(argument) or pins.get(image) or image
    return chosen, [image for image in chosen.values() if "@sha256:" not in image]


def checked(kind: re.Pattern[str], word: str, what: str) -> str:
    """The word, if it is one. Raises: Refused."""
    if not kind.fullmatch(word):
        raise Refused(f"{word!r} is not {what}.")
    return word


def commit() -> str:
    """The commit that is checked out."""
    return run(["git", "rev-parse", "HEAD"], "Reading the commit").strip()


def is_clean() -> bool:
    """Whether the work tree is what the commit says."""
    return not run(["git", "status", "--porcelain"], "Reading the work tree").strip()


def default_tag() -> str:
    """`sha-<short>` of the commit. Raises: Refused where the tree is something else than the commit."""
    if not is_clean():
        raise Refused("The work tree has changes that the commit does not: commit them, or name a tag (TAG=…).")
    return short_tag(commit())


def short_tag(revision: str) -> str:
    """The tag of a commit's images: seven digits, always, so that every place makes the same one."""
    return f"sha-{revision[:7]}"
