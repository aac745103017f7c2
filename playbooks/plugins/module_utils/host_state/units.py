"""systemd units. One `systemctl show` tells the state of all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ansible.module_utils.host_state.change import Change, StateError, matches
from ansible.module_utils.host_state.machine import Machine
from ansible.module_utils.host_state.spec import UnitEntry

UNIT_FOLDERS = ("/etc/systemd/system/", "/usr/local/lib/systemd/system/", "/usr/lib/systemd/system/")
RELOAD_MANAGER = "daemon-reload"
PROPERTIES = ("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload")
# What `systemctl enable` has nothing to add to: the last three cannot be enabled, others start them.
ENABLED = {"enabled", "enabled-runtime", "alias", "static", "generated", "indirect"}
ACTIVE = {"active", "activating", "reloading"}


def promises(entries: Sequence[UnitEntry], paths: Sequence[str]) -> set[str]:
    """The keys of the restarts and reloads that a change of `paths` calls for."""
    keys = {RELOAD_MANAGER} if any(matches(p, UNIT_FOLDERS) for p in paths) else set()
    for entry in entries:
        if any(matches(p, entry.restart_on) for p in paths):
            keys.add(f"restart {entry.name}")
        elif any(matches(p, entry.reload_on) for p in paths):
            keys.add(f"reload {entry.name}")
    return keys


def keys(entry: UnitEntry) -> tuple[str, str]:
    """The promises that any run which has brought the unit to its state has kept, running or not."""
    return f"restart {entry.name}", f"reload {entry.name}"


def show(entries: Sequence[UnitEntry], machine: Machine) -> list[dict[str, str]]:
    """The properties of each unit, in the order of `entries`."""
    if not entries:
        return []
    result = machine.must(
        ["systemctl", "show", "--property", ",".join(PROPERTIES), "--", *(e.name for e in entries)],
        "the state of the units cannot be read; is systemd running",
    )
    blocks = [dict(line.partition("=")[::2] for line in b.splitlines()) for b in result.out.strip().split("\n\n")]
    if len(blocks) != len(entries):
        raise StateError(f"systemctl told of {len(blocks)} units, {len(entries)} were asked for: {result.out[:500]}")
    return blocks


def plan_manager_reload(found: Sequence[dict[str, str]], due: frozenset[str], machine: Machine) -> list[Change]:
    """systemd reads its unit files anew when one has changed, now or in a run that did not finish."""
    if RELOAD_MANAGER not in due and all(f.get("NeedDaemonReload") != "yes" for f in found):
        return []

    def apply() -> None:
        machine.must(["systemctl", "daemon-reload"], "systemd cannot read its unit files anew")

    return [Change("systemd", "manager", "reload", apply, key=RELOAD_MANAGER)]


def plan(
    entries: Sequence[UnitEntry],
    found: Sequence[dict[str, str]],
    due: frozenset[str],
    machine: Machine,
    *,
    arriving: bool,
) -> list[Change]:
    """Changes in the order declared. `arriving` (check mode): packages would come, and with them units, started."""
    return [
        Change("unit", entry.name, verb, _apply(entry, verb, machine))
        for entry, unit in zip(entries, found, strict=True)
        for verb in _verbs(entry, unit, due, arriving and unit["LoadState"] == "not-found")
    ]


def _verbs(entry: UnitEntry, unit: dict[str, str], due: frozenset[str], arriving: bool) -> list[str]:
    active = unit["ActiveState"] in ACTIVE or arriving
    enabled = unit["UnitFileState"] in ENABLED or arriving
    if entry.masked:
        return (["stop"] if active and not arriving else []) + (["mask"] if unit["LoadState"] != "masked" else [])
    verbs = ["unmask"] if unit["LoadState"] == "masked" else []
    if entry.enabled is True and not enabled:
        verbs.append("enable")
    if entry.enabled is False and unit["UnitFileState"] in ("enabled", "enabled-runtime"):
        verbs.append("disable")
    if entry.state == "started" and not active:
        verbs.append("start")
    elif entry.state == "stopped" and active:
        verbs.append("stop")
    elif active and f"restart {entry.name}" in due:
        verbs.append("restart")
    elif active and f"reload {entry.name}" in due:
        verbs.append("reload")
    return verbs


def _apply(entry: UnitEntry, verb: str, machine: Machine) -> Callable[[], None]:
    def apply() -> None:
        # A unit without a reload of its own is restarted.
        command = "reload-or-restart" if verb == "reload" else verb
        if verb in ("start", "restart"):
            # One that failed too often is not started again until this is said; of the others it is no news.
            machine.run(["systemctl", "reset-failed", entry.name])
        result = machine.run(["systemctl", command, entry.name])
        if result.code != 0:
            status = machine.run(["systemctl", "status", "--no-pager", "--full", "--lines=15", entry.name])
            raise StateError(f"{entry.where}: cannot {verb}: {result.text}\n{status.out.strip()}")

    return apply
