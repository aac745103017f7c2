"""What CI does to a host besides deploying: the same way in, and no image with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def deploy(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / ".ci/deploy.py"), *words]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("verb", ["rotate_secrets", "drift", "audit"])
def test_upkeep_wants_the_hosts_secrets_and_no_tag(verb: str) -> None:
    done = deploy(verb, "inventories/example", IMAGE_TAG="not a tag")
    assert done.returncode == 1 and "VPS_HOST is not set" in done.stderr and "IMAGE_TAG" not in done.stderr


def test_another_verb_is_refused() -> None:
    assert deploy("destroy", "inventories/example").returncode == 2
