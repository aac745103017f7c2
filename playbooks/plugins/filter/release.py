"""What a planned release means: slots, jobs, probes, and the line that records it. Pure functions of data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


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


def outside_checks(domain: str, release: Mapping[str, Any], sites: list[dict[str, Any]]) -> list[dict[str, Any]]:
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
    for site in sites:
        probe = site.get("probe", {})
        if probe is not False and site["host"] not in (f"api.{domain}", f"s3.{domain}"):
            url = f"https://{site['host']}{probe.get('path', '/')}"
            checks.append({"url": url, "status": probe.get("status", 200)})
    return checks


def release_entry(changes: Mapping[str, Any], who: str, verdict: str) -> dict[str, Any]:
    """The line of releases.jsonl."""
    return {
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "by": who,
        "tag": ", ".join(sorted({change["tag"] for change in changes.values()})),
        "verdict": verdict,
        "units": {
            unit: {name: change[name] for name in ("from", "to", "slot", "tag")} for unit, change in changes.items()
        },
    }


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
        }
