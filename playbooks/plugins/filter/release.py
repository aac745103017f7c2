"""What a planned release means: slots, jobs, probes, and the line that records it. Pure functions of data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def changed_slots(units: Mapping[str, Any], changes: Mapping[str, Any], which: str) -> list[str]:
    """Compose services of the changed units in their new (`slot`) or old (`previous`) slot."""
    return [
        f"{service}-{change[which]}"
        for unit, change in changes.items()
        if change[which]
        for service in units[unit]["services"]
    ]


def changed_jobs(units: Mapping[str, Any], changes: Mapping[str, Any]) -> list[str]:
    """One-shot jobs of the changed units, in their new slot."""
    return [f"{job}-{change['slot']}" for unit, change in changes.items() for job in units[unit].get("jobs", {})]


def expected_images(units: Mapping[str, Any], release: Mapping[str, Any]) -> dict[str, str]:
    """Compose service to the image it must run, for every active slot."""
    out = {}
    for unit, definition in units.items():
        state = release["units"].get(unit, {})
        slot = state.get("active")
        if slot:
            out |= {f"{service}-{slot}": state["images"][slot] for service in definition["services"]}
    return out


def outside_checks(
    domain: str, units: Mapping[str, Any], release: Mapping[str, Any], sites: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What must be true from outside: health, readiness, the running digest, each site, closed doors, the socket."""
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
    pages = [site["host"] for site in sites if site["host"] not in (f"api.{domain}", f"s3.{domain}")]
    checks += [{"url": f"https://{host}/"} for host in pages]
    return checks


def release_entry(changes: Mapping[str, Any], tag: str, who: str, verdict: str) -> dict[str, Any]:
    """The line of releases.jsonl."""
    return {
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "by": who,
        "tag": tag,
        "verdict": verdict,
        "units": {
            unit: {"from": change["from"], "to": change["to"], "slot": change["slot"]}
            for unit, change in changes.items()
        },
    }


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {
            "changed_jobs": changed_jobs,
            "changed_slots": changed_slots,
            "expected_images": expected_images,
            "outside_checks": outside_checks,
            "release_entry": release_entry,
        }
