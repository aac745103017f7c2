"""What a planned release means: slots, jobs, probes, and the line that records it. Pure functions of data."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Ansible ships module_utils to hosts, but does not make them importable on the controller.
sys.path.append(str(Path(__file__).parents[1] / "module_utils"))
from release_changes import told


def new_services(changes: Mapping[str, Any]) -> list[str]:
    """Compose services of the changed units in the slot they go into."""
    return [f"{name}-{change['slot']}" for change in changes.values() for name in change["definition"]["services"]]


def new_jobs(changes: Mapping[str, Any]) -> list[str]:
    """One-shot jobs of the changed units, in their new slot."""
    return [f"{job}-{change['slot']}" for change in changes.values() for job in change["definition"].get("jobs", {})]


def expected_images(units: Mapping[str, Any], release: Mapping[str, Any]) -> dict[str, str]:
    """Compose service to the image it must run, for every active slot."""
    out = {}
    for unit, definition in units.items():
        state = release["units"].get(unit, {})
        slot = state.get("active")
        if slot:
            made_from = state.get("definitions", {}).get(slot) or definition
            out |= {f"{service}-{slot}": state["images"][slot] for service in made_from["services"]}
    return out


def outside_checks(
    domain: str, release: Mapping[str, Any], sites: list[dict[str, Any]], units: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What must be true from outside: health, readiness, the running digest, each site, closed doors, the socket.

    A site whose unit has never been released is left out: a rollback cannot bring up what git has only just declared.
    """
    unborn = {
        service
        for unit, definition in units.items()
        if not release["units"].get(unit, {}).get("active")
        for service in definition["services"]
    }
    state = release["units"].get("controlplane", {})
    image = state.get("images", {}).get(state.get("active"), "")
    api = f"https://api.{domain}"
    checks: list[dict[str, Any]] = [
        {
            "url": f"{api}/api/v1/health",
            "json": {"data.version": image.rpartition("sha256:")[2][:12]},
            "json_contains": True,
        },
        {"url": f"{api}/api/v1/health/ready", "json": {"data.ready": "True"}},
        {"url": f"{api}/metrics", "status": 404},
        # A socket without a token is refused by the sockets process itself: the way to it is open.
        {
            "url": f"{api}/api/v1/agents/ws?agent_id=probe",
            "status": 401,
            "headers": {
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "bW9vcmFnZS1wcm9iZS0wMQ==",
            },
        },
    ]
    for site in sites:
        probe = site.get("probe", {})
        if any(route["to"].partition(":")[0] in unborn for route in site.get("routes", []) if not route.get("paths")):
            continue
        if probe is not False and site["host"] not in (f"api.{domain}", f"s3.{domain}"):
            url = f"https://{site['host']}{probe.get('path', '/')}"
            checks.append({"url": url, "status": probe.get("status", 200)})
    return checks


def release_entry(changes: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The line of releases.jsonl, but for what only the host can add: when, how long, which requests.

    Args:
        changes: unit to its change.
        facts: ``kind`` (deploy, rollback), ``by``, ``verdict`` (success, failed), ``tag`` asked for, ``before`` and
            ``after`` (states of release.json; the latter empty where it was never worked out), ``reason`` of a failure
            and ``not_undone``, what its undo did not manage.
    """
    before, after = facts["before"], facts.get("after") or {}
    entry: dict[str, Any] = {
        "kind": facts["kind"],
        "by": facts["by"],
        "tag": after.get("tag") or facts["tag"] or "the release before",
        "verdict": facts["verdict"],
        "number": after.get("number"),
        **told(before, changes),
    }
    if facts.get("reason"):
        entry["reason"] = " ".join(str(facts["reason"]).split())[:1000]
    if facts.get("not_undone"):
        entry["not_undone"] = [str(step) for step in facts["not_undone"]]
    if facts["verdict"] == "success":
        entry["rollback"] = way_back(before, after)
    return entry


def way_back(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What a rollback without a tag would do, once this release is the present one."""
    if after.get("rolled_back_from"):
        return {"allowed": False, "why": "this is a rollback: the next one has to name a tag"}
    if not before.get("number"):
        return {"allowed": False, "why": "there is no earlier release"}
    back = {"to": before["number"], "tag": before.get("tag")}
    head, fit = before.get("schema", {}).get("head"), after.get("schema", {}).get("works_with", [])
    if head and head not in fit:
        why = f"its code is at schema {head}; the tables now work with code at {', '.join(fit)} only"
        return {**back, "allowed": False, "why": why}
    return {**back, "allowed": True}


def with_schema(after: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A release's state with what `schema_plan` found; unchanged where the control plane's image does not change."""
    if "head" not in schema:
        return dict(after)
    return {**after, "schema": {name: schema[name] for name in ("head", "works_with")}}


def summary(entry: Mapping[str, Any], drained: float) -> str:
    """What a person is told of a release that succeeded."""
    requests, back = entry["requests"], entry["rollback"]
    seen = (
        f"{requests['answered']} requests were answered meanwhile, {requests['failed']} failed"
        if "answered" in requests
        else f"how many requests failed meanwhile is not known ({requests['unknown']})"
    )
    done = "Went back to" if entry["kind"] == "rollback" else "Released"
    way = f"goes to {back.get('tag')} (release {back.get('to')})"
    if not back["allowed"]:
        way = f"{'would be refused' if 'to' in back else 'has nowhere to go'}: {back['why']}"
    return (
        f"{done} {entry['tag']} (release {entry['number']}) in {entry['seconds']} s, to the new digest probed; {seen}. "
        f"The old slot took {drained} s to finish and stop. A rollback without a tag {way}."
    )


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {
            "expected_images": expected_images,
            "new_jobs": new_jobs,
            "new_services": new_services,
            "outside_checks": outside_checks,
            "release_entry": release_entry,
            "release_summary": summary,
            "with_schema": with_schema,
        }
