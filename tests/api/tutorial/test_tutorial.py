"""The commands of the manual's tutorial are run as they stand there, against `make up`'s own servers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.local.conftest import ENVIRONMENT, moorage, wait_until_ready
from webapp.local.ports import free_port
from webapp.settings import CHECKOUT

PAGE = CHECKOUT / "docs/tutorial/control-plane.md"
SECONDS = 120


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As much of this tree as the page uses, with data of its own."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name in ("webapp", "migrations", "agent"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture(scope="module")
def port(checkout: Path) -> Iterator[int]:
    port = free_port()
    popen = moorage(checkout, "up", PORT=str(port))
    wait_until_ready(popen, port)
    yield port
    popen.terminate()
    popen.communicate(timeout=40)


def script(port: int) -> str:
    """The page's `sh` blocks in their order, each announced, for the port that this test has."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 7
    return "set -euo pipefail\n" + "\n".join(blocks).replace("127.0.0.1:8000", f"127.0.0.1:{port}")


def test_every_command_of_the_tutorial_works(checkout: Path, port: int) -> None:
    done = subprocess.run(
        ["bash", "-x", "-c", script(port)],
        cwd=checkout,
        env=ENVIRONMENT | {"PYTHONPATH": str(checkout), "HOME": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    # `bash -x` repeats what was typed; the secret's plaintext must appear nowhere else.
    assert "an api key" not in done.stdout
