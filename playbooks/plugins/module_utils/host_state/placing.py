"""Puts files in place in one step: a reader sees the old one or the new one, whole, with its owner and mode."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ansible.module_utils.atomic import rename
from ansible.module_utils.host_state.attributes import Attributes


def write(path: str, content: bytes, attributes: Attributes) -> None:
    """Replace `path`, or whatever link stands there, by a regular file with `content`."""
    with _draft(Path(path)) as draft:
        _fill(draft, content, attributes)
        try:
            rename(draft, Path(path))
        except OSError as error:
            # A mount point (/etc/hosts in a container) can only be written into.
            if error.errno not in (errno.EBUSY, errno.EXDEV):
                raise
            _fill(Path(path), content, attributes)


def link(path: str, target: str) -> None:
    """Make `path` a symbolic link to `target`, over whatever file or link was there."""
    with _draft(Path(path)) as draft:
        draft.unlink()
        draft.symlink_to(target)
        rename(draft, Path(path))


def make_directory(path: str, attributes: Attributes) -> None:
    """Make the folder, and those above it that are missing (root's, 0755)."""
    _make_parents(Path(path))
    Path(path).mkdir(mode=0o700)
    adjust(path, attributes)


def adjust(path: str, attributes: Attributes) -> None:
    """Set owner, group and mode of the file or folder itself, never of what a link points to."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        attributes.put_on(descriptor)
    finally:
        os.close(descriptor)


def remove(path: str) -> None:
    """Remove a file, a link (not its target) or a folder with all that is in it."""
    if Path(path).is_dir() and not Path(path).is_symlink():
        shutil.rmtree(path)
    else:
        Path(path).unlink()


@contextlib.contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A file beside `path` to become it. The leading dot and the suffix keep it out of every *.conf include."""
    _make_parents(path)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:200]}.", suffix=".new")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _make_parents(path: Path) -> None:
    if not path.parent.is_dir():
        _make_parents(path.parent)
        path.parent.mkdir()
        path.parent.chmod(0o755)  # whatever the umask


def _fill(path: Path, content: bytes, attributes: Attributes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW), "wb") as file:
        attributes.put_on(file.fileno())
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
