"""Which of the questions that are asked from outside a new slot can be asked itself. A pure function of data."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit


def inside_checks(
    checks: list[dict[str, Any]], sites: list[dict[str, Any]], changes: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The checks that a changed unit's new slot answers, as the proxy would pass them on.

    Args:
        checks: what is asked from outside, each {url, …}.
        sites: the proxy's; their routes say which service answers a path.
        changes: unit to its change.
    """
    slots = {name: f"{name}-{new['slot']}" for new in changes.values() for name in new["definition"]["services"]}
    by_host = {site["host"]: site for site in sites}
    out = []
    for check in checks:
        parts = urlsplit(check["url"])
        host, path = parts.hostname or "", parts.path or "/"
        service, _, port = _target(by_host.get(host, {}), path).partition(":")
        if service in slots:
            question = f"{path}?{parts.query}" if parts.query else path
            headers = {**check.get("headers", {}), "Host": host, "X-Forwarded-Proto": "https"}
            out.append(
                {**check, "service": slots[service], "url": f"http://{host}:{port}{question}", "headers": headers}
            )
    return out


def _target(site: Mapping[str, Any], path: str) -> str:
    """``service:port`` that answers a path of a site; '' where the proxy answers itself, or the site is not known."""
    if any(fnmatchcase(path, pattern) for pattern in site.get("closed", [])):
        return ""
    for route in site.get("routes", []):
        if not route.get("paths") or any(fnmatchcase(path, pattern) for pattern in route["paths"]):
            return str(route["to"])
    return ""


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"inside_checks": inside_checks}
