"""Debian's packages, downloaded and unpacked into the cache: nothing is installed. Without apt's lists, root only."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from tests.lab.cache import cache_dir, lock


def unpacked(package: str) -> Path:
    """The folder that a package's files are in. Fails, with what apt said, where apt cannot get it."""
    version = _candidate(package)
    folder = cache_dir("debian") / f"{package}-{version.replace(':', '_')}"
    with lock(f"debian-{package}"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                _run("apt-get", "-q", "download", f"{package}={version}", cwd=Path(scratch))
                [archive] = Path(scratch).glob("*.deb")
                _run("dpkg-deb", "-x", str(archive), f"{scratch}/root", cwd=Path(scratch))
                (Path(scratch) / "root").rename(folder)
    return folder


def _candidate(package: str) -> str:
    try:
        said = _run("apt-cache", "show", "--no-all-versions", package)
    except AssertionError:
        if os.getuid() != 0:
            raise
        _run("apt-get", "-q", "update")  # a machine whose lists were thrown away
        said = _run("apt-cache", "show", "--no-all-versions", package)
    return next(line.split()[1] for line in said.splitlines() if line.startswith("Version:"))


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} failed (as root, `apt-get update` first?):\n{done.stderr}"
    return done.stdout
