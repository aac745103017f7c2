"""`.ci/pin.py --actions`: commits of the actions that workflows use, from a git server that is a folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .conftest import Pin

IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", *IDENTITY, "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """One repository: v5 an annotated tag, v4 a plain one, main a branch."""
    repository = tmp_path / "server/actions/checkout"
    repository.mkdir(parents=True)
    git(repository, "init", "--quiet", "--initial-branch=main")
    for tag in (("v4",), ("-a", "v5", "-m", "five")):
        git(repository, "commit", "--quiet", "--allow-empty", "-m", "x")
        git(repository, "tag", *tag)
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "x")
    return tmp_path / "server"


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    path = tmp_path / "ci.yml"
    path.write_text(
        f"""jobs:
  a:
    steps:
      - uses: actions/checkout@v5
      - name: By a path, quoted
        uses: "actions/checkout/sub/folder@main"  # why
      # - uses: actions/checkout@v5
      - uses: actions/checkout@{"0" * 40} # v4
      - uses: actions/checkout@{"1" * 40}
      - uses: ./local
      - uses: docker://alpine:3
"""
    )
    return path


def test_tags_become_commits_and_stay_readable(pin: Pin, server: Path, workflow: Path) -> None:
    done = pin("--actions", workflow, PIN_GIT_SERVER=f"file://{server}")
    assert done.returncode == 0, done.stderr
    of = {ref: git(server / "actions/checkout", "rev-parse", ref) for ref in ("v4", "v5^{commit}", "main")}
    assert workflow.read_text() == f"""jobs:
  a:
    steps:
      - uses: actions/checkout@{of["v5^{commit}"]} # v5
      - name: By a path, quoted
        uses: actions/checkout/sub/folder@{of["main"]} # main  # why
      # - uses: actions/checkout@v5
      - uses: actions/checkout@{of["v4"]} # v4
      - uses: actions/checkout@{"1" * 40}
      - uses: ./local
      - uses: docker://alpine:3
"""
    assert f"actions/checkout@v4: {'0' * 40} -> {of['v4']}" in done.stdout
    assert pin("--actions", "--check", workflow).returncode == 0


def test_check_lists_tags(pin: Pin, workflow: Path) -> None:
    done = pin("--actions", "--check", workflow)
    assert done.returncode == 1
    assert done.stdout == f"{workflow}: actions/checkout@v5\n{workflow}: actions/checkout/sub/folder@main\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [("actions/checkout@v9", "has no tag or branch v9"), ("actions/absent@v1", "cannot be asked")],
)
def test_one_fault_writes_nothing_at_all(pin: Pin, server: Path, workflow: Path, name: str, words: str) -> None:
    workflow.write_text(workflow.read_text() + f"      - uses: {name}\n")
    before = workflow.read_text()
    done = pin("--actions", workflow, PIN_GIT_SERVER=f"file://{server}")
    assert done.returncode == 2
    assert words in done.stderr
    assert workflow.read_text() == before
