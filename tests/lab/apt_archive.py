"""Downloaded packages, kept between hosts so that provisioning a fresh one downloads nothing again.

apt locks its archive folder, so every host has a folder of its own: its files are hard links to a pool per release,
which costs no space, and what the host downloaded is linked back into the pool when it goes.
"""

import contextlib
import os
import shutil
from pathlib import Path

from tests.lab.cache import cache_dir


def prepare(release: str, container: str) -> Path:
    """The archive folder of a host, holding every package of the pool."""
    folder = cache_dir("apt", release, "hosts", container)
    _link(cache_dir("apt", release, "pool"), folder)
    return folder


def collect(release: str, container: str, *, drop: bool) -> None:
    """Link what the host downloaded into the pool, and with `drop` forget the host's own folder."""
    folder = cache_dir("apt", release, "hosts", container)
    _link(folder, cache_dir("apt", release, "pool"))
    if drop:
        shutil.rmtree(folder)


def _link(source: Path, target: Path) -> None:
    for package in source.glob("*.deb"):
        with contextlib.suppress(FileExistsError):
            os.link(package, target / package.name)
