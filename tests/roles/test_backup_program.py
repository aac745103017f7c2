"""The host's half of what backs up: what only root can put together."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

FILES = Path(__file__).parents[2] / "roles/backup/files"


def collected(folder: Path, *paths: str) -> subprocess.CompletedProcess[str]:
    """`moorage-backup files` for a stack in `folder`, of which these paths are to be kept."""
    for name in ("moorage-backup", "host.sh"):
        shutil.copy(FILES / name, folder)
    settings = {"STACK": folder / "stack", "FOLDER": folder / "backups", "OWNER": os.getuid()}
    lines = [f"{name}={value}" for name, value in settings.items()]
    (folder / "host.conf").write_text("\n".join([*lines, f"PATHS=({' '.join(paths)})\n"]))
    for name in ("stack", "backups"):
        (folder / name).mkdir(exist_ok=True)
    return subprocess.run([folder / "moorage-backup", "files"], capture_output=True, text=True, check=False)


def test_the_stacks_own_files_are_brought_together_for_their_reader_alone(tmp_path: Path) -> None:
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack/.env").write_text("SECRET='x'\n")
    done = collected(tmp_path, ".env", "release.json")
    archive = tmp_path / "backups/files-of-now.tar"
    assert done.returncode == 0, done.stderr
    with tarfile.open(archive) as held:
        assert held.getnames() == [".env"]
    assert archive.stat().st_mode & 0o777 == 0o600


def test_an_archive_that_fails_leaves_the_one_before_and_says_so(tmp_path: Path) -> None:
    archive = tmp_path / "backups/files-of-now.tar"
    archive.parent.mkdir()
    archive.write_text("before")
    done = collected(tmp_path, "nothing-of-it-is-there")
    assert done.returncode == 1 and "empty archive" in done.stderr
    assert archive.read_text() == "before"
