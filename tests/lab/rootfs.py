"""Debian's root file systems, made by debootstrap and kept as tar files: no image registry is reachable."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.lab.cache import cache_dir, key_of, lock
from tests.lab.engine import Engine
from tests.lab.errors import LabError
from tests.lab.machine import install, mirrors
from tests.lab.progress import say

# What no image needs and apt makes again: two thirds of a minimal Debian (see lab.md).
DROPPED = ("var/lib/apt/lists/*", "var/cache/apt/*", "var/log/*.log", "usr/share/doc/*", "usr/share/man/*")
EXCLUDED = """\
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-include=/usr/share/locale/locale.alias
"""


def import_rootfs(engine: Engine, suite: str) -> str:
    """The name of an image that holds nothing but a minimal `suite`, made when absent."""
    archive = mirrors().archive
    key = key_of(suite, archive, EXCLUDED, *DROPPED)
    name = f"moorage-lab/rootfs:{suite}-{key}"
    if engine.inspect("image", name, "{{.Id}}") is None:
        with lock(f"rootfs-{suite}"):
            tar = cache_dir("rootfs") / f"{suite}-{key}.tar"
            if not tar.exists():
                _bootstrap(suite, archive, tar)
            engine.run("import", str(tar), name)
    return name


def _bootstrap(suite: str, archive: str, tar: Path) -> None:
    install(["debootstrap", "debian-archive-keyring"])
    say(f"making Debian {suite}", "debootstrap, about 40 s")
    with tempfile.TemporaryDirectory(dir=tar.parent) as scratch:
        root = Path(scratch) / "root"
        command = ["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, str(root), archive]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"`{' '.join(command)}` failed:\n{done.stdout[-2000:]}{done.stderr[-500:]}")
        (root / "etc/dpkg/dpkg.cfg.d/lab-small").write_text(EXCLUDED)
        for pattern in DROPPED:
            for path in root.glob(pattern):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for path in (root / "usr/share/locale").iterdir():
            if path.is_dir():
                shutil.rmtree(path)
        part = tar.with_suffix(f".{os.getpid()}")
        subprocess.run(["tar", "--numeric-owner", "-C", str(root), "-cf", str(part), "."], check=True)
        part.rename(tar)
