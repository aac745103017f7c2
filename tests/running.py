"""Runs a module of ours as Ansible does on a host: a process of its own, arguments in, JSON out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, NamedTuple

from tests.rendering import PLUGINS

_WRAPPER = """
import json, runpy, sys
import ansible.module_utils
from ansible.module_utils.testing import patch_module_args
path, folder, arguments = sys.argv[1:]
ansible.module_utils.__path__.append(folder)
with patch_module_args(json.loads(arguments)):
    runpy.run_path(path, run_name="__main__")
"""


class Outcome(NamedTuple):
    """What a module returned, and everything it printed."""

    result: dict[str, Any]
    said: str


def command_of(module: str, /, *, check: bool = False, **args: Any) -> list[str]:
    """The command that runs `playbooks/plugins/modules/<module>.py` with these arguments."""
    given = json.dumps({**args, "_ansible_check_mode": check})
    files = (PLUGINS / "modules" / f"{module}.py", PLUGINS / "module_utils")
    return [sys.executable, "-c", _WRAPPER, *map(str, files), given]


def run_module(
    module: str,
    /,
    *,
    check: bool = False,
    environment: dict[str, str] | None = None,
    before: tuple[str, ...] = (),
    **args: Any,
) -> Outcome:
    """One run of `playbooks/plugins/modules/<module>.py` on this machine.

    Args:
        check: in check mode.
        environment: what its process gets in place of this one's environment.
        before: words before the command, such as a limit.
        args: the module's arguments.
    """
    done = subprocess.run(
        [*before, *command_of(module, check=check, **args)],
        env=os.environ if environment is None else environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return Outcome(json.loads(done.stdout), done.stdout + done.stderr)
