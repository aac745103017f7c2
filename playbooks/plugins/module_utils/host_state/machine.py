"""The host's programs: every command of `host_state` runs through here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from ansible.module_utils.host_state.change import StateError

# sudo and cron give a short PATH; the tools used here live in the sbin folders.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOT_FOUND = 127
OUTPUT_TAIL = 2000  # characters of a failed command's output that an error repeats


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return (self.err.strip() or self.out.strip())[-OUTPUT_TAIL:]


@dataclass(frozen=True)
class Machine:
    """Runs programs with a plain environment. `path` is replaced in tests only."""

    path: str = SYSTEM_PATH

    def run(self, argv: Sequence[str], *, cwd: str | None = None) -> Result:
        """Run `argv` without a shell; a program that does not exist is code 127, as in a shell."""
        environment = {
            **{k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")},
            "PATH": self.path,
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
            "NEEDRESTART_MODE": "l",  # apt must not restart services behind the plan's back
        }
        program = self.find(argv[0])
        if program is None:
            return Result(NOT_FOUND, "", f"{argv[0]}: not installed")
        try:
            done = subprocess.run(
                [program, *argv[1:]],
                capture_output=True,
                check=False,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            return Result(126, "", f"{argv[0]}: {error.strerror}")
        return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def find(self, program: str) -> str | None:
        """Where `program` is on the path, or None."""
        if "/" in program:
            return program if os.access(program, os.X_OK) else None
        candidates = (f"{folder}/{program}" for folder in self.path.split(":"))
        return next((c for c in candidates if os.access(c, os.X_OK)), None)

    def must(self, argv: Sequence[str], purpose: str) -> Result:
        """Run `argv`; raise StateError naming `purpose` unless it exits 0."""
        result = self.run(argv)
        if result.code != 0:
            raise StateError(f"{purpose}: `{' '.join(argv)}` exited {result.code}: {result.text}")
        return result
