"""The scans that run on the controller, for real: an open port, a secret that git remembers, a scan without data."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def scans(plugin):
    return plugin("module_utils", "scans")


def test_a_port_that_listens_is_seen_and_one_that_does_not_is_not(plugin):
    outside = plugin("module_utils", "outside")
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        ports = [listening.getsockname()[1], bound.getsockname()[1]]
        assert outside.open_ports("127.0.0.1", ports) == ports[:1]


def git(folder: Path, *args: str) -> None:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false", *args]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository that has had a key in it for one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", folder / "deploy"], check=True
    )
    (folder / "README.md").write_text("moored\n")
    for message in ("with a key", "without"):
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", message)
        (folder / "deploy").unlink(missing_ok=True)
    return folder


def test_a_secret_that_was_taken_out_is_still_in_the_history(plugin, scans, repository, tmp_path):
    assert not (repository / "deploy").exists()
    report = scans.history(repository, ROOT / ".ci/secrets.yml", tmp_path / "cache")
    [line] = plugin("module_utils", "audit").secrets(*report)
    assert line.startswith("deploy (blob ") and "PRIVATE KEY" not in line


def test_a_shallow_clone_has_no_history_to_look_at(scans, repository, tmp_path):
    git(tmp_path, "clone", "-q", "--depth", "1", repository.as_uri(), "shallow")
    with pytest.raises(scans.NoData, match="shallow"):
        scans.history(tmp_path / "shallow", ROOT / ".ci/secrets.yml", tmp_path / "cache")


def test_without_a_database_there_is_no_clean_bill(scans, tmp_path):
    with pytest.raises(scans.NoData, match="trivy exited"):
        scans.packages(b"", b"ID=debian\nVERSION_ID=13\n", tmp_path / "empty")
