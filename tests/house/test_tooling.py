"""Laws of the tools: a hook for every linter, a line of help for every target."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HOOKS = ROOT / ".pre-commit-config.yaml"
MAKEFILE = (ROOT / "Makefile").read_text()


def linters() -> set[str]:
    found = re.search(r"^linters=\((.+)\)$", (ROOT / ".ci/lint").read_text(), re.MULTILINE)
    assert found
    return set(found[1].split())


def test_pre_commit_takes_its_configuration() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-config", str(HOOKS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_linter_has_a_hook_that_runs_that_linter() -> None:
    [repository] = yaml.safe_load(HOOKS.read_text())["repos"]
    assert repository["repo"] == "local", "a hook from elsewhere would be fetched"
    assert {hook["id"]: hook["entry"] for hook in repository["hooks"]} == {
        name: f".ci/lint {name}" for name in linters()
    }


@pytest.mark.parametrize("linter", ["shellcheck", "actions-pinned"])
def test_pre_commit_runs_a_linter(linter: str) -> None:
    command = [sys.executable, "-m", "pre_commit", "run", linter, "--all-files"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "Passed" in done.stdout, done.stdout + done.stderr


def test_every_target_has_one_line_of_help_and_is_no_file() -> None:
    targets = re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE)
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert phony and set(phony[1].replace("\\\n", " ").split()) == set(targets)
    done = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines] == targets
    assert all(len(line.split()) > 3 for line in lines)


def test_a_linter_that_nobody_knows_is_an_error() -> None:
    done = subprocess.run([ROOT / ".ci/lint", "nothing"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "There are: ruff" in done.stdout


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Another tree with these linters, and nothing else in it."""
    (tmp_path / ".ci").mkdir()
    for name in ("lint", "secrets.yml", "pin.py"):
        shutil.copy(ROOT / ".ci" / name, tmp_path / ".ci")
    shutil.copytree(ROOT / ".ci/pinning", tmp_path / ".ci/pinning")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / ".github/workflows").mkdir(parents=True)
    return tmp_path


def lint(tree: Path, linter: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tree / ".ci/lint", linter], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["notes.md", "tests/test_login.py"])
def test_a_committed_secret_fails_wherever_it_is(elsewhere: Path, name: str) -> None:
    assert lint(elsewhere, "secrets").returncode == 0
    path = elsewhere / name
    path.parent.mkdir(exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", path], check=True)
    done = lint(elsewhere, "secrets")
    assert done.returncode == 1 and path.name in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("uses", "passes"),
    [(f"actions/checkout@{'a' * 40} # v5.0.0", True), ("actions/checkout@v5", False), ("actions/checkout@main", False)],
)
def test_an_action_that_is_not_pinned_is_named(elsewhere: Path, uses: str, passes: bool) -> None:
    (elsewhere / ".github/workflows/ci.yml").write_text(f"jobs:\n  one:\n    steps:\n      - uses: {uses}\n")
    done = lint(elsewhere, "actions-pinned")
    assert (done.returncode == 0) is passes, done.stdout
    assert passes or uses in done.stdout
