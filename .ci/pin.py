#!/usr/bin/env python3
"""Pins what the repository refers to by name: digests of images, commits of workflow actions.

Nothing is written unless everything was found, and each file is replaced whole. With --check nothing is
asked of a network: what is not pinned yet is listed, and the exit status is 1 if there is any.
"""

# ruff: noqa: T201 - a command's output is what it is for

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from pinning import Kind, LookupFailed
from pinning.actions import ACTIONS
from pinning.images import IMAGES

ROOT = Path(__file__).resolve().parent.parent


def missing(kind: Kind, texts: dict[Path, str]) -> list[str]:
    """A line for each name that is not pinned, with its file."""
    lines = [f"{path}: {pin.name}" for path, text in texts.items() for pin in kind.find(text) if not pin.current]
    return list(dict.fromkeys(lines))


def look_up(kind: Kind, texts: dict[Path, str]) -> dict[str, str]:
    """Every name of the texts and what it stands for, each asked for once.

    Raises: LookupFailed, naming all that was not found.
    """
    found: dict[str, str] = {}
    faults = []
    for name in dict.fromkeys(pin.name for text in texts.values() for pin in kind.find(text)):
        try:
            found[name] = kind.look_up(name)
        except LookupFailed as fault:
            faults.append(str(fault))
    if faults:
        raise LookupFailed("\n".join([*faults, "Nothing was written."]))
    return found


def rewritten(kind: Kind, text: str, found: dict[str, str]) -> str:
    """The text with every pin brought up to date, and nothing else changed."""
    # From the end, so that the places of the earlier ones stay true.
    for pin in reversed(kind.find(text)):
        if pin.current != found[pin.name]:
            text = text[: pin.start] + kind.write(pin.name, found[pin.name]) + text[pin.end :]
    return text


def replace(path: Path, text: str) -> None:
    """Puts the text in the file's place in one step, with the file's mode."""
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(text)
        Path(beside).chmod(path.stat().st_mode & 0o777)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def read(kind: Kind, files: list[Path]) -> dict[Path, str]:
    """The files' texts. Raises: LookupFailed, naming the file that cannot be read or holds something else."""
    texts = {}
    for path in files:
        try:
            texts[path] = path.read_bytes().decode()
            kind.find(texts[path])
        except (OSError, UnicodeDecodeError, LookupFailed) as error:
            raise LookupFailed(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    return texts


def run(kind: Kind, files: list[Path], *, check: bool) -> int:
    """Pins, or only looks; returns the exit status."""
    texts = read(kind, files)
    if check:
        lines = missing(kind, texts)
        print("\n".join(lines) or "Everything is pinned.")
        return 1 if lines else 0
    found = look_up(kind, texts)
    for path, text in texts.items():
        after = rewritten(kind, text, found)
        if after != text:
            replace(path, after)
        for name, before in dict.fromkeys((pin.name, pin.current) for pin in kind.find(text)):
            now = "the same" if before == found[name] else found[name]
            print(f"{path}: {name}: {before or 'nothing'} -> {now}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only list what is not pinned")
    parser.add_argument("--actions", action="store_true", help="pin `uses:` of workflows (default: all of them)")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    options = parser.parse_args()
    files = options.files or (sorted(ROOT.glob(".github/workflows/*.y*ml")) if options.actions else [])
    if not files:
        parser.error("name the file that holds `stack_pins`: inventories/NAME/group_vars/moorage/pins.yml")
    try:
        return run(ACTIONS if options.actions else IMAGES, files, check=options.check)
    except LookupFailed as fault:
        print(fault, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
