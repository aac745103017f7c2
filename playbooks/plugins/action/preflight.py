"""Looks at the host, and takes its lock for this run: who we are is known here, on the controller, only."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

BOOT = Path("/proc/sys/kernel/random/boot_id")


def who() -> str:
    """Who asked for this run: in CI the person behind it, else the one at the keyboard."""
    return os.environ.get("GITHUB_ACTOR") or os.environ.get("SUDO_USER") or getpass.getuser()


def began(pid: int) -> str:
    """When a process of this machine began, in the kernel's ticks; '' where there is none, or no /proc to ask."""
    try:
        # The name of the command, in brackets, may hold blanks: count from behind it. proc(5): field 22.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def controller() -> str:
    """This machine, or container, told apart from others and from its own earlier boots; '' where that is not known."""
    if not BOOT.exists():
        return ""
    # A process's number means the same only within one name space of processes.
    return f"{socket.gethostname()} {BOOT.read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"


def dead(lock: dict[str, Any]) -> bool:
    """Whether a lock's run was one of this very machine and is no more. Another machine's cannot be known."""
    here = controller()
    return bool(here) and lock.get("controller") == here and began(int(lock.get("pid", 0))) != lock.get("began")


class ActionModule(ActionBase):
    """The `preflight` task."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The module's result; `ansible_facts.run` says whose run this is and which lock it holds."""
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        args = dict(self._task.args)
        pid = os.getppid()  # a task runs in a process of its own, forked from ansible-playbook
        tag = str(self._templar.template(task_vars.get("image_tag") or ""))
        lock = {
            "token": secrets.token_hex(4),
            "what": " ".join(filter(None, (str(task_vars.get("ansible_play_name", "a playbook")), tag))),
            "by": who(),
            "from": socket.gethostname(),
            "controller": controller(),
            "pid": pid,
            "began": began(pid),
        }
        args["lock"] = lock
        answer = self._execute_module("preflight", module_args=args, task_vars=task_vars)
        if answer.get("held") and dead(answer["held"]):
            args["break_lock"] = answer["held"]["token"]
            answer = self._execute_module("preflight", module_args=args, task_vars=task_vars)
        result.update(answer)
        if not result.get("failed"):
            facts = result.setdefault("ansible_facts", {})
            facts["run"] = {name: lock[name] for name in ("token", "by", "from")}
        taken = result.get("took_over")
        if taken:
            self._display.warning(
                f"A dead run held this host's lock and was taken over: {taken.get('what')}, by {taken.get('by')} from "
                f"{taken.get('from')}, begun {taken.get('at')}. What it left behind is put right now."
            )
        return result
