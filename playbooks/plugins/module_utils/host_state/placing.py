"""Puts files in place in one step: a reader sees the old one or the new one, whole, with its owner and mode."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile

from ansible.module_utils.host_state.attributes import Attributes


def write(path: str, content: bytes, attributes: Attributes) -> None:
    """Replace `path`, or whatever link stands there, by a regular file with `content`."""
    with _draft(path) as draft:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW), "wb") as file:
            file.write(content)
            file.flush()
            attributes.put_on(file.fileno())
            os.fsync(file.fileno())
        try:
            _rename(draft, path)
        except OSError as error:
            # A mount point (/etc/hosts in a container) can only be written into.
            if error.errno not in (errno.EBUSY, errno.EXDEV):
                raise
            _write_into(path, content, attributes)


def link(path: str, target: str) -> None:
    """Make `path` a symbolic link to `target`, over whatever file or link was there."""
    with _draft(path) as draft:
        os.unlink(draft)
        os.symlink(target, draft)
        _rename(draft, path)


def make_directory(path: str, attributes: Attributes) -> None:
    """Make the folder, and those above it that are missing (root's, 0755)."""
    _make_parents(path)
    os.mkdir(path, 0o700)
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
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)


@contextlib.contextmanager
def _draft(path: str):
    """A file beside `path` to become it. The leading dot and the suffix keep it out of every *.conf include."""
    _make_parents(path)
    descriptor, draft = tempfile.mkstemp(
        dir=os.path.dirname(path), prefix=f".{os.path.basename(path)[:200]}.", suffix=".new"
    )
    os.close(descriptor)
    try:
        yield draft
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)


def _make_parents(path: str) -> None:
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        _make_parents(parent)
        os.mkdir(parent, 0o755)
        os.chmod(parent, 0o755)  # whatever the umask


def _rename(draft: str, path: str) -> None:
    os.replace(draft, path)
    # The name itself must survive a crash as well as the content.
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_into(path: str, content: bytes, attributes: Attributes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        attributes.put_on(file.fileno())
