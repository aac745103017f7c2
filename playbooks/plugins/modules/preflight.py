#!/usr/bin/python
"""Reads, in one call, what every playbook wants to know of a host before it changes anything, and takes its lock."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.release_lock import Held, StillAtWork, leave, refusal, take
from ansible.module_utils.release_store import append

DOCUMENTATION = """
module: preflight
short_description: Read the host's facts and refuse a host that cannot carry the stack
description: >-
  A small replacement for gathering facts (one call, about 0.1 s): distribution, memory, free disk, default interface,
  who listens on the web ports, and the state of the release. Takes the host's lock last, and changes nothing else.
options:
  root: {type: path, default: /opt/moorage, description: Where the stack lives}
  min_memory_mb: {type: int, default: 1900, description: Refuse a host with less memory (2 GB machines report less)}
  min_disk_mb: {type: int, default: 10240, description: Refuse a first installation with less free disk}
  project: {type: str, default: moorage, description: Compose project of the stack}
  ports: {type: list, elements: int, default: [80, 443], description: No foreign service may listen on these}
  lock: {type: dict, default: {}, description: "Who runs this; takes the host's lock for it (not in check mode)"}
  break_lock: {type: str, default: "", description: "Token of a lock whose run is dead, to be taken over"}
"""

# The engine's own port proxies stand for containers, which `foreign_containers` tells apart.
ENGINE = {"docker-proxy", "rootlessport"}


def distribution(release: str) -> dict[str, str]:
    """Ansible's names for what /etc/os-release says."""
    pairs = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', release, re.MULTILINE))
    return {
        "distribution": pairs.get("ID", "unknown").capitalize(),
        "distribution_version": pairs.get("VERSION_ID", ""),
        "distribution_major_version": pairs.get("VERSION_ID", "").split(".")[0],
        "distribution_release": pairs.get("VERSION_CODENAME", ""),
    }


def memory_mb() -> int:
    """Memory of the machine, or the tightest control group limit above this process, in MiB."""
    total = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1)) // 1024
    limits = [total]
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        base = Path("/sys/fs/cgroup/memory" if "memory" in controllers.split(",") else "/sys/fs/cgroup")
        name = "memory.limit_in_bytes" if "memory" in controllers.split(",") else "memory.max"
        for folder in [Path(path), *Path(path).parents]:
            try:
                text = (base / str(folder).lstrip("/") / name).read_text().strip()
            except OSError:
                continue
            if text.isdigit():
                limits.append(int(text) // 2**20)
    return min(limits)


def free_disk_mb(path: str) -> int:
    """Free space, in MiB, of the file system that holds (or will hold) a path."""
    folder = Path(path)
    while not folder.exists():
        folder = folder.parent
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize // 2**20


def default_interface() -> str:
    """The interface of the IPv4 default route, or '' where there is none."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000" and int(fields[3], 16) & 1:
            return fields[0]
    return ""


def listeners(ports: list[int]) -> dict[int, str]:
    """Foreign processes that listen on the given TCP ports: port to process name."""
    done = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=False)
    found: dict[int, str] = {}
    for line in done.stdout.splitlines():
        fields = line.split()
        port = int(fields[3].rsplit(":", 1)[1])
        process = re.search(r'\("([^"]+)",pid=(\d+)', line)
        if port in ports and process and process.group(1) not in ENGINE:
            found[port] = f"{process.group(1)} (pid {process.group(2)})"
    return found


def foreign_containers(ports: list[int], project: str) -> dict[int, str]:
    """Containers of others that publish one of the given ports: port to container name."""
    found: dict[int, str] = {}
    for port in ports if Path("/var/run/docker.sock").exists() else []:
        form = '{{.Names}} {{.Label "com.docker.compose.project"}}'
        command = ["docker", "ps", "--filter", f"publish={port}", "--format", form]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            name, _, owner = line.partition(" ")
            if owner != project:
                found[port] = f"the container {name}"
    return found


def read_release(root: str) -> dict[str, Any]:
    """The release the host runs, from release.json; empty before the first deploy."""
    try:
        return json.loads((Path(root) / "release.json").read_text())
    except FileNotFoundError:
        return {"units": {}}


def complaints(facts: dict[str, Any], first: bool, args: dict[str, Any]) -> list[str]:
    """Why this host cannot be worked on; pure."""
    out = []
    if facts["memtotal_mb"] < args["min_memory_mb"]:
        out.append(
            f"This host has {facts['memtotal_mb']} MB of memory; the stack needs {args['min_memory_mb']} MB or more. "
            "Take a larger machine."
        )
    if first and facts["disk_free_mb"] < args["min_disk_mb"]:
        out.append(
            f"This host has {facts['disk_free_mb']} MB of free disk under {args['root']}; a first installation needs "
            f"{args['min_disk_mb']} MB. Free some, or take a larger disk."
        )
    out += [
        f"Port {port} is held by {process}, which is not ours. Stop it (`systemctl disable --now …`, "
        "`docker rm -f …`) or move it."
        for port, process in facts["foreign_listeners"].items()
    ]
    return out


def lock_host(module: AnsibleModule) -> dict[str, Any] | None:
    """Take the host's lock; ends the module where another run has it. Returns the dead run's lock taken over."""
    try:
        taken = take(module.params["lock"], module.params["break_lock"])
    except Held as held:
        module.fail_json(msg=refusal(held.lock), held=held.lock)
    except StillAtWork as error:
        module.fail_json(msg=f"{error}. Look at it (`ps axf` on the host) and run again. Nothing was changed.")
    return taken


def interrupted(lock: dict[str, Any], release: dict[str, Any]) -> dict[str, Any] | None:
    """The line for a release that its run, now dead, did not finish; None where it began none, or had sealed it. Pure.

    Args:
        lock: what the dead run left.
        release: the present state, in which a release that was sealed is the one that serves.
    """
    begun = lock.get("releasing")
    if not begun or begun["number"] == release.get("number"):
        return None
    return {**begun, "by": lock.get("by"), "at": lock.get("at"), "verdict": "interrupted"}


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/opt/moorage"},
            "min_memory_mb": {"type": "int", "default": 1900},
            "min_disk_mb": {"type": "int", "default": 10240},
            "project": {"type": "str", "default": "moorage"},
            "ports": {"type": "list", "elements": "int", "default": [80, 443]},
            "lock": {"type": "dict", "default": {}},
            "break_lock": {"type": "str", "default": "", "no_log": False},
        },
        supports_check_mode=True,
    )
    args = module.params
    begun = time.time()
    facts: dict[str, Any] = {
        **distribution(Path("/etc/os-release").read_text()),
        "architecture": os.uname().machine,
        "memtotal_mb": memory_mb(),
        "processor_vcpus": os.cpu_count(),
        "disk_free_mb": free_disk_mb(args["root"]),
        "default_interface": default_interface(),
        "foreign_listeners": {
            **listeners(args["ports"]),
            **foreign_containers(args["ports"], args["project"]),
        },
    }
    first = not (Path(args["root"]) / "release.json").exists()
    faults = complaints(facts, first, args)
    if faults:
        module.fail_json(msg=" ".join(faults) + " Nothing was changed.")
    try:
        release = read_release(args["root"])
    except ValueError as error:
        module.fail_json(
            msg=f"{args['root']}/release.json is not JSON ({error}). Move it away: the next run then releases anew."
        )
    taken = None
    if args["lock"] and not module.check_mode:
        try:
            taken = lock_host(module)
            # Read again: a run that ended just now, or what a dead one left at work, may have released meanwhile.
            release = read_release(args["root"])
            line = interrupted(taken or {}, release)
            if line:
                append(Path(args["root"]), line)
        except (OSError, ValueError) as error:
            with suppress(OSError):
                leave(args["lock"]["token"])
            module.fail_json(
                msg=f"This host cannot be had for this run: {error}. Is its disk full or read-only (`df -h`)? Nothing "
                "was changed."
            )
    module.exit_json(changed=False, ansible_facts={**facts, "release": release, "begun": begun}, took_over=taken)


if __name__ == "__main__":
    main()
