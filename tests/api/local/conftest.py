"""A checkout of its own for `moorage up`, and how to run the command line in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from webapp.local.ports import free_port
from webapp.settings import CHECKOUT

# Nothing of this machine's own environment may configure it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
Up = Callable[[], subprocess.Popen[str]]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a checkout")
    for name in ("webapp", "migrations"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def port() -> int:
    return free_port()


def moorage(checkout: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "webapp", *arguments],
        cwd=checkout,
        env=ENVIRONMENT | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def up(checkout: Path, port: int) -> Iterator[Up]:
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        popen = moorage(checkout, "up", PORT=str(port))
        started.append(popen)
        return popen

    yield start
    for popen in started:
        if popen.poll() is None:
            popen.terminate()
        popen.communicate(timeout=40)
    # A crashed one's processes, which only the next start would have found.
    for path in (checkout / ".moorage" / "processes").glob("*.child"):
        cleaner = moorage(checkout, "up", PORT=str(port))
        time.sleep(0.1)
        cleaner.terminate()
        cleaner.communicate(timeout=40)
        assert not path.exists()


def wait_until_ready(popen: subprocess.Popen[str], port: int) -> str:
    """What it said until its last word of greeting."""
    said = ""
    assert popen.stdout is not None
    for line in popen.stdout:
        said += line
        if "Ctrl-C stops everything" in line:
            return said
    raise AssertionError(said)


def processes(checkout: Path) -> set[int]:
    """Every process that works in, or for, this checkout."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
            where = (folder / "cwd").readlink()
        except OSError:
            continue
        if str(checkout) in command or where.is_relative_to(checkout):
            found.add(int(folder.name))
    return found
