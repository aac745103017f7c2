"""`host_state` run for real in a temporary folder; only systemd, which cannot run here, has a stand-in."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.rendering import share_module_utils

share_module_utils()

from ansible.module_utils.host_state.change import Outcome  # noqa: E402 (importable from here on)
from ansible.module_utils.host_state.converge import Convergence  # noqa: E402
from ansible.module_utils.host_state.machine import SYSTEM_PATH, Machine  # noqa: E402
from ansible.module_utils.host_state.spec import parse  # noqa: E402

# Keeps each unit's state in a file of its name, and writes down what it was told to do.
SYSTEMCTL = """#!/bin/sh
cd "$(dirname "$0")/../units" || exit 1
if [ "$1" = show ]; then
    shift 4
    for unit; do
        active=inactive enabled=disabled
        [ -e "$unit.active" ] && active=active
        [ -e "$unit.enabled" ] && enabled=enabled
        printf 'LoadState=loaded\\nActiveState=%s\\nUnitFileState=%s\\nNeedDaemonReload=no\\n\\n' "$active" "$enabled"
    done
    exit 0
fi
[ -e "$2.broken" ] && { echo "$2 is broken" >&2; exit 1; }
[ "$1" = reset-failed ] && exit 1  # nothing has failed
echo "$@" >> log
case $1 in
    start | restart) touch "$2.active" ;;
    stop) rm -f "$2.active" ;;
    enable) touch "$2.enabled" ;;
    disable) rm -f "$2.enabled" ;;
esac
"""


@dataclass(frozen=True)
class Bench:
    """A host of one folder: `root` is where relative paths are, `state` what host_state remembers."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def units(self) -> Path:
        return self.folder / "units"

    def declare(self, *, check: bool = False, **params: Any) -> Outcome:
        """Bring the bench to a declared state; files are the user's who runs the tests."""
        scratch = self.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        owner = pwd.getpwuid(os.getuid()).pw_name
        group = grp.getgrgid(os.getgid()).gr_name
        spec = parse({"root": str(self.root), "owner": owner, "group": group, **params})
        machine = Machine(path=f"{self.folder / 'bin'}:{SYSTEM_PATH}")
        return Convergence(spec, machine, check=check, state_dir=str(self.state), scratch=str(scratch)).run()

    def told(self) -> list[str]:
        """What systemctl was told to do, since the last question."""
        log = self.units / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def tree(self) -> dict[str, tuple[str, int, bytes]]:
        """Everything under the root: kind, mode and content."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            kind = "link" if path.is_symlink() else "directory" if path.is_dir() else "file"
            content = str(path.readlink()).encode() if kind == "link" else path.read_bytes() if kind == "file" else b""
            found[str(path.relative_to(self.root))] = (kind, path.lstat().st_mode & 0o7777, content)
        return found


def make_bench(folder: Path) -> Bench:
    bench = Bench(folder)
    for name in ("root", "units", "bin"):
        (folder / name).mkdir(parents=True)
    program = folder / "bin/systemctl"
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    return bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path)


@pytest.fixture
def declare(bench: Bench) -> Callable[..., Outcome]:
    return bench.declare
