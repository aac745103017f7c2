"""The product's own images: built from this tree, on the lab's stand-ins, and pushed to the lab's registry."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.lab import machine
from tests.lab.cache import key_of, key_of_files, lock
from tests.lab.engine import Engine
from tests.lab.errors import LabError
from tests.lab.facts import REPOSITORY
from tests.lab.progress import say
from tests.lab.recipes import STAND_INS, ensure_image
from tests.lab.services import Registry

LATEST = "main-latest"


@dataclass(frozen=True)
class Product:
    """An image of ours: its Dockerfile, the folder it is built in, and what of that folder goes in."""

    name: str
    dockerfile: str
    context: str
    sources: tuple[str, ...]

    @property
    def repository(self) -> str:
        """Its name in a registry."""
        return f"moorage/{self.name}"


PRODUCTS = (
    Product(
        "controlplane",
        "webapp/Dockerfile",
        ".",
        ("webapp", "agent", "migrations", "pyproject.toml", "README.md", ".dockerignore", "alembic.ini"),
    ),
    Product("frontend", "docs/examples/frontend/Dockerfile", "docs/examples/frontend", (".",)),
)


def push_products(engine: Engine, registry: Registry, tag: str = "") -> dict[str, dict[str, str]]:
    """Build and push every product under `tag` (default: a hash of its content) and `main-latest`.

    The tag is also the version built in, so two tags are two images. What was pushed before is not built again.
    Returns image, tag and digest by product name. Raises LabError, CommandError.
    """
    return {product.name: _push(engine, registry, product, tag) for product in PRODUCTS}


def _push(engine: Engine, registry: Registry, product: Product, tag: str) -> dict[str, str]:
    folder = REPOSITORY / product.context
    files = _files(folder, product)
    standing_on = _bases(engine, (REPOSITORY / product.dockerfile).read_text())
    key = key_of(key_of_files(folder, files), *(f"{name}={image}" for name, image in standing_on.items()))
    tag = tag or f"sha-{key}"
    seal = f"content-{key_of(key, tag)}"
    with lock(f"product-{product.name}"):
        digest = registry.digest(product.repository, seal)
        if digest is None:
            image = f"moorage-lab/{product.name}:{key_of(key, tag)}"
            _build(engine, product, files, image, {**standing_on, "VERSION": tag})
            digest = registry.push(image, product.repository, seal)
            engine.attempt("rmi", image)
        for name in (tag, LATEST):
            if registry.digest(product.repository, name) != digest:
                registry.tag(product.repository, seal, name)
    return {"image": f"{registry.name}/{product.repository}", "tag": tag, "digest": digest}


def _files(folder: Path, product: Product) -> list[Path]:
    """What git tracks or would track: nothing built, nothing private."""
    if not (REPOSITORY / product.dockerfile).is_file():
        raise LabError(f"{product.dockerfile} is missing: there is nothing to build {product.repository} from.")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *product.sources]
    listing = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return [path for name in listing.split("\0") if name and (path := folder / name).is_file()]


def _bases(engine: Engine, dockerfile: str) -> dict[str, str]:
    """The build arguments that name an official image, each with the stand-in for it."""
    named = re.findall(r"^ARG (\w+_IMAGE)=(?:docker\.io/library/)?([a-z]+)[:@\s]", dockerfile, re.MULTILINE)
    return {argument: ensure_image(engine, STAND_INS[name]) for argument, name in named if name in STAND_INS}


def _build(engine: Engine, product: Product, files: list[Path], image: str, given: dict[str, str]) -> None:
    say(f"building {product.repository} {given['VERSION']}", "docker build")
    with tempfile.TemporaryDirectory() as scratch:
        context = Path(scratch) / "context"
        folder = REPOSITORY / product.context
        for path in files:
            target = context / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        dockerfile = context / (REPOSITORY / product.dockerfile).relative_to(folder)
        words = ["build", "-q", "-f", str(dockerfile), "-t", image]
        for name, content in machine.build_secrets().items():
            (Path(scratch) / name).write_text(content)
            words += ["--secret", f"id={name},src={scratch}/{name}"]
        for name, value in given.items():
            words += ["--build-arg", f"{name}={value}"]
        engine.run(*words, str(context), timeout=1800)
