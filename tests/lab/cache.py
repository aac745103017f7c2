"""Where the lab keeps what is dear to make, and the keys under which it finds it again.

All of it may be deleted at any time: it is made again when absent. Its keys are hashes of what went in.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.progress import say


def cache_dir(*parts: str) -> Path:
    """The folder `parts` under the user's cache, made when absent."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = base.joinpath("moorage", *parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def drop_cache() -> None:
    """Delete everything that the lab cached. Raises LabError while an engine keeps its data there."""
    folder = cache_dir()
    if Path("/run/moorage-lab/docker.pid").exists():
        raise LabError(f"The engine still uses {folder}: take the other labs down first.")
    shutil.rmtree(folder)


def key_of(*parts: str | bytes) -> str:
    """Twelve hexadecimal digits that change when any part, or the border between two parts, changes."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:12]


def key_of_files(root: Path, files: Iterable[Path]) -> str:
    """The key of files' names, contents and executable bits (other modes are the checkout's own)."""
    parts: list[str | bytes] = []
    for path in sorted(files):
        parts += [str(path.relative_to(root)), str(path.stat().st_mode & 0o100), path.read_bytes()]
    return key_of(*parts)


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold the machine-wide lock `name`: two labs may come up at once, an image is built once."""
    with (cache_dir("locks") / name).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"locked: {name}", "another lab command to finish with it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
