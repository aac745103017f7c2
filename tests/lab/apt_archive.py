"""Downloaded packages, kept between hosts so that provisioning a fresh one downloads nothing again.

apt locks its archive folder, so every host has a folder of its own. Its files are hard links to a pool per
release, which costs no space; what the hosts downloaded is linked back into the pool when another one is made.
"""

import contextlib
import os
import shutil
from pathlib import Path

from tests.lab.cache import cache_dir


def prepare(release: str, container: str) -> Path:
    """The archive folder of a new host, holding every package that any host of the release ever downloaded."""
    pool = cache_dir("apt", release, "pool")
    for other in cache_dir("apt", release, "hosts").iterdir():
        _link(other, pool)
    folder = cache_dir("apt", release, "hosts", container)
    _link(pool, folder)
    return folder


def drop(release: str, container: str) -> None:
    """Forget a host's folder, and keep in the pool what it downloaded."""
    folder = cache_dir("apt", release, "hosts", container)
    _link(folder, cache_dir("apt", release, "pool"))
    shutil.rmtree(folder)


def _link(source: Path, target: Path) -> None:
    for package in source.glob("*.deb"):
        with contextlib.suppress(FileExistsError):
            os.link(package, target / package.name)
