"""The sites of a domain: which host goes where. Pure functions of data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What a store answers besides the S3 API: Ceph's administration and Swift, MinIO's administration, metrics and health.
STORE_CLOSED = [f"/{name}{rest}" for name in ("admin", "swift", "auth", "minio") for rest in ("", "/*")]
# Whatever waits for long: sockets, long polls, server-sent events, calls that wait for an agent. On the API's threads a
# handful of them would hold up everybody else.
SOCKET_PATHS = [
    "/api/v1/agents/ws",
    "/ws/*",
    "/api/v1/vm-ops/commands/next",
    "/api/v1/vm-ops/events",
    "/api/v1/infra/*",
]


def sites(domain: str, services: Mapping[str, Mapping[str, Any]], store: str) -> list[dict[str, Any]]:
    """The sites that the proxy serves.

    Args:
        domain: the product's domain.
        services: `stack_services`; one with a `host` is served at ``host.domain`` on its `port`; its `routes` (each
            ``{paths, to}``) lead elsewhere first.
        store: ``name:port`` of the S3 server, or '' where there is none in the stack.

    Returns:
        `app`, `api` and `s3` first, then the other hosts of the product in the order of their names.
    """
    hosts = {
        service["host"]: {
            "host": f"{service['host']}.{domain}",
            "routes": [*service.get("routes", []), {"to": f"{name}:{service.get('port', 8080)}"}],
            "closed": ["/metrics"],
            "max_body": service.get("max_body", "10MB"),
            "probe": service.get("probe", {}),
        }
        for name, service in services.items()
        if service.get("host")
    }
    app = hosts.pop(
        "app", {"host": f"app.{domain}", "routes": [{"to": "api:8000"}], "closed": ["/metrics"], "max_body": "2MB"}
    )
    api = {
        "host": f"api.{domain}",
        "routes": [{"paths": SOCKET_PATHS, "to": "sockets:8000"}, {"to": "api:8000"}],
        "closed": ["/metrics"],
        "max_body": "2MB",
    }
    out = [app, api]
    if store:
        out.append(
            {
                "host": f"s3.{domain}",
                "routes": [{"to": store}],
                "closed": STORE_CLOSED,
                "max_body": "5GB",
                "compress": False,
                # A POST to the root is no S3: STS and IAM listen there.
                "closed_root_post": True,
            }
        )
    return out + [hosts[name] for name in sorted(hosts)]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"sites": sites}
