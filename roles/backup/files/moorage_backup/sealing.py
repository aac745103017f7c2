"""Files and folders that are there whole or not at all, and the digests by which they are known again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from moorage_backup.failures import Damaged

MANIFEST = "manifest.json"
_PARTIAL = ".partial"


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file; whoever reads it meanwhile gets the one before, whole."""
    draft = path.with_name(f".{path.name}{_PARTIAL}")
    with draft.open("w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make names in a folder survive a crash."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some file systems cannot
            os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of `folder` when the block ends well, and is gone when it does not."""
    draft = folder.with_name(f"{folder.name}{_PARTIAL}")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(mode=0o700, parents=True)
        yield draft
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inventory(folder: Path) -> dict[str, dict[str, Any]]:
    """Every file below a folder but its manifest: relative path to bytes and SHA-256."""
    return {
        str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": file_digest(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }


def seal(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the manifest of a folder, the last thing that goes into it; what it says."""
    manifest = {**facts, "files": inventory(folder)}
    write(folder / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return manifest


def opened(folder: Path) -> dict[str, Any]:
    """The manifest of a folder whose every file is as it says.

    Raises:
        Damaged: there is no manifest, or a file is missing, added or other than it says.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise Damaged(f"{folder} has no manifest that can be read ({error}), so it is no finished dump.") from error
    found = inventory(folder)
    wrong = sorted(
        name for name in found.keys() | manifest["files"].keys() if found.get(name) != manifest["files"].get(name)
    )
    if wrong:
        raise Damaged(f"{folder}: {', '.join(wrong[:5])} is not what the manifest says. Take an older backup.")
    return manifest
