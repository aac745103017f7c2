"""Debian packages. Asks dpkg, which takes 20 ms; apt only when something is missing."""

from __future__ import annotations

import os
import time

from ansible.module_utils.host_state.change import Change
from ansible.module_utils.host_state.machine import Machine
from ansible.module_utils.host_state.spec import Spec

LISTS = "/var/lib/apt/lists"
LISTS_ARE_FRESH_FOR = 3600  # seconds; a fresh image's lists may name versions that the mirror has dropped
APT = ("apt-get", "-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120")
# A changed configuration file of the host wins over the package's: we write the ones we want.
KEEP_CONFIGURATION = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")


def plan(spec: Spec, machine: Machine) -> list[Change]:
    """One Change for all packages to install, one for all to remove."""
    asked = (*spec.packages, *spec.absent_packages)
    if not asked:
        return []
    installed = _installed(asked, machine)
    missing = [p for p in spec.packages if p not in installed]
    surplus = [p for p in spec.absent_packages if p in installed]
    changes = []
    if missing:
        changes.append(Change("packages", ", ".join(missing), "install", lambda: _install(missing, machine)))
    if surplus:
        changes.append(Change("packages", ", ".join(surplus), "remove", lambda: _remove(surplus, machine)))
    return changes


def _installed(names: tuple[str, ...], machine: Machine) -> set[str]:
    # Exits 1 when it knows nothing of one of them, and prints the others all the same.
    query = machine.run(["dpkg-query", "-W", "-f", "${Package}\t${Architecture}\t${db:Status-Status}\n", *names])
    rows = (line.split("\t") for line in query.out.splitlines())
    found = {(package, architecture) for package, architecture, status in rows if status == "installed"}
    return {p for p, _ in found} | {f"{p}:{a}" for p, a in found}


def _install(names: list[str], machine: Machine) -> None:
    command = [*APT, *KEEP_CONFIGURATION, "install", *names]
    if _lists_age() <= LISTS_ARE_FRESH_FOR and machine.run(command).code == 0:
        return
    # Fresh lists may still be another source's, or name a version that has just been replaced: ask once more.
    _update(machine)
    machine.must(command, f"packages {', '.join(names)} cannot be installed")


def _update(machine: Machine) -> None:
    machine.must(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", "update"], "the package lists cannot be fetched")


def _lists_age() -> float:
    try:
        newest = max(e.stat().st_mtime for e in os.scandir(LISTS) if e.name.endswith(("Packages", "InRelease", "lz4")))
    except (OSError, ValueError):
        return float("inf")
    return time.time() - newest


def _remove(names: list[str], machine: Machine) -> None:
    machine.must([*APT, "purge", *names], f"packages {', '.join(names)} cannot be removed")
