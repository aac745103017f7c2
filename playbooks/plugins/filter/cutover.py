"""What a step of a cutover is run with, leaves to be committed, and is noted as. Pure functions of data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Where the folder of a step's reports is in its container.
REPORTS = "/cutover"
_PROOF = (("--report", "report"), ("--tolerate", "tolerate"), ("--threshold", "thresholds"))
# Each step's options: the command line's name for it, and ours.
OPTIONS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "plan": (("--source", "source"), ("--quiet", "quiet")),
    "sync": (("--source", "source"), ("--quiet", "quiet"), ("--dry-run", "dry_run"), ("--full", "full")),
    "verify": (("--source", "source"), ("--quiet", "quiet"), *_PROOF),
    "begin": (),
    "shadow": (("--off", "shadow_off"),),
    "switch": (("--freeze", "freeze_seconds"), ("--window", "window_hours"), ("--without-shadow", "without_shadow"),
               ("--shadow-reads", "shadow_reads"), ("--shadow-hours", "shadow_hours"), *_PROOF),
    "revert": (("--freeze", "freeze_seconds"), *_PROOF),
    "finish": (("--early", "early"), ("--prometheus", "prometheus"), ("--unmeasured", "unmeasured"), *_PROOF),
    "abandon": (),
    "status": (),
}  # fmt: skip
# The store that a step leaves as the leader, which the inventory must then say.
LEADS = {"switch": ("rtdb", "supabase"), "revert": ("supabase", "rtdb")}
# One path of each domain, as everybody of a tenant may read it.
READS = ("resources/licenses", "workspace/notes", "bots", "finance/operations", "settings")
DEFAULT_BACKEND = "supabase"
BACKEND, URL, PATH = "controlplane_data_backend", "controlplane_rtdb_url", "controlplane_rtdb_root"


def cutover_words(step: str, options: Mapping[str, Any]) -> list[str]:
    """The step as the control plane's command line has it; an option that is empty or false is left out."""
    out = ["moorage", "cutover", step]
    for flag, name in OPTIONS[step]:
        value = {**options, "report": REPORTS, "quiet": True}[name]
        if value is True:
            out.append(flag)
        elif isinstance(value, list):
            out += [word for one in value for word in (flag, str(one))]
        elif value not in (None, "", False):
            out += [flag, str(value)]
    return out


def cutover_volumes(source: str, folder: str) -> list[str]:
    """What the container sees of the host, as options of `compose run`: the reports' folder, and a source's files, for
    reading. What is sorted on the way lies in that folder too: the container's own /tmp is memory."""
    _, _, path = source.partition(":")
    files = ["--volume", f"{path}:{path}:ro"] if path else []
    return ["--volume", f"{folder}:{REPORTS}", "--env", f"TMPDIR={REPORTS}", *files]


def cutover_checks(domain: str, token: bool) -> list[dict[str, Any]]:
    """A read of each domain's path, and what it is answered: records, or 401 without a token."""
    return [{"url": f"https://api.{domain}/api/v1/{path}", "status": 200 if token else 401} for path in READS]


def cutover_commit(step: str, places: Mapping[str, Mapping[str, Any]], inventory: str) -> list[str]:
    """What is left to be done after a step, in lines; empty after most.

    Args:
        places: variable to ``where`` it stands in the inventory (`file:line`) and its ``value``.
        inventory: the inventory's folder.
    """
    file = f"{inventory}/group_vars/moorage/controlplane.yml"
    if step in LEADS:
        before, after = LEADS[step]
        place = places.get(BACKEND, {"where": f"{file} (no line yet)", "value": DEFAULT_BACKEND})
        if place["value"] == after:
            return [f"{after} leads, as {place['where']} says: there is nothing to commit."]
        return [
            f"{after} leads. Commit this change, then run playbooks/deploy.yml: it only reloads, and is in no hurry.",
            place["where"],
            f"-{BACKEND}: {before}",
            f"+{BACKEND}: {after}",
        ]
    if step == "finish":
        gone = [f"{places[name]['where']} -{name}" for name in (URL, PATH) if name in places]
        return [
            "rtdb is retired: its settings are refused from now on. Commit this change:",
            *(gone or [f"{file} -{URL}"]),
            f"{places.get(BACKEND, {'where': file})['where']} {BACKEND}: supabase",
            "Take the line RTDB_SECRET out of .env in the stack's folder on the host, then run playbooks/deploy.yml.",
            "Revoke that secret where the Realtime Database is administered, and keep a last export of it.",
        ]
    return []


def cutover_entry(step: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A step's line in the release log, but for when and how long it was.

    Args:
        facts: ``code`` it ended with, ``by``, ``image``, ``number`` of the release that ran it, and ``status``, what
            `moorage cutover status --json` said after it; empty where it did not answer.
    """
    status, code = facts["status"], int(facts["code"])
    passed = [event for event in status.get("events", []) if "frozen_seconds" in event.get("facts", {})]
    entry = {
        "kind": "cutover",
        "step": step,
        "verdict": "success" if code == 0 else "failed",
        "by": facts["by"],
        "image": facts["image"],
        "number": facts["number"],
        **{name: status.get(name) for name in ("leader", "state", "begun_at", "version")},
    }
    if step in LEADS and code == 0 and passed:
        entry |= {"frozen_seconds": passed[-1]["facts"]["frozen_seconds"], "proof": status.get("verdict")}
    return entry


def cutover_standing(status: Mapping[str, Any]) -> str:
    """Who leads and how far the cutover is, in a sentence or two, of `moorage cutover status --json`."""
    if not status:
        return "How the cutover stands is not known: `-e cutover_step=status` says it."
    frozen = status.get("frozen_seconds")
    writes = f"writes thaw by themselves within {frozen} s" if frozen else "writes go on"
    state = f"; the cutover is {status['state']}" if status.get("state") else ""
    return f"{status['leader']} leads, and {writes}{state}."


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {
            "cutover_checks": cutover_checks,
            "cutover_commit": cutover_commit,
            "cutover_entry": cutover_entry,
            "cutover_standing": cutover_standing,
            "cutover_volumes": cutover_volumes,
            "cutover_words": cutover_words,
        }
