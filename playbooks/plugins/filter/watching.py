"""What is asked of the product's addresses, and how the blackbox exporter asks it. Pure functions of data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

KEYS = {"url", "name", "status", "contains"}


def product_checks(
    domain: str, services: Mapping[str, Mapping[str, Any]], declared: list[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Every check, as the action `probe` takes it: the API's readiness, each host of the product, what is declared.

    Args:
        services: `stack_services`; one whose `probe` is false is left out.
        declared: `monitoring_checks`, each ``{url, name?, status?, contains?}``.

    Raises:
        AnsibleFilterError: naming the check that is wrong.
    """
    hosts = {service["host"]: service.get("probe", {}) for service in services.values() if service.get("host")}
    checks = [{"name": "api", "url": f"https://api.{domain}/api/v1/health/ready", "status": 200}]
    for host, probe in sorted({"app": {}, **hosts}.items()):
        if probe is not False:
            url = f"https://{host}.{domain}{probe.get('path', '/')}"
            checks.append({"name": host, "url": url, "status": probe.get("status", 200)})
    for index, check in enumerate(declared):
        where = f"monitoring_checks[{index}]"
        if not isinstance(check, Mapping) or not re.match("https?://", str(check.get("url", ""))):
            raise AnsibleFilterError(f"{where}.url must begin with https:// or http://")
        for key in sorted(set(check) - KEYS):
            raise AnsibleFilterError(f"{where}.{key} is no key of a check; it knows {', '.join(sorted(KEYS))}")
        checks.append({"name": check["url"], "status": 200, **check})
    names = [check["name"] for check in checks]
    for name in names:
        if names.count(name) > 1:
            raise AnsibleFilterError(f"monitoring_checks: two checks are called {name!r}; give each a name of its own")
    return checks


def blackbox_config(checks: list[Mapping[str, Any]], authority: str) -> dict[str, Any]:
    """The exporter's configuration: a module for each check, by its name.

    Args:
        authority: file of a root certificate to trust besides the system's; '' for none.
    """
    modules = {}
    for check in checks:
        http: dict[str, Any] = {
            "valid_status_codes": [check["status"]],
            "follow_redirects": False,
            "preferred_ip_protocol": "ip4",
        }
        if check.get("contains"):
            http["fail_if_body_not_matches_regexp"] = [re.escape(check["contains"])]
        if authority:
            http["tls_config"] = {"ca_file": authority}
        modules[check["name"]] = {"prober": "http", "timeout": "10s", "http": http}
    return {"modules": modules}


def blackbox_targets(checks: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Prometheus' static targets for them; the label `check` names each."""
    return [
        {"targets": [check["url"]], "labels": {"check": check["name"], "__param_module": check["name"]}}
        for check in checks
    ]


def dashboard_files(paths: list[str]) -> list[dict[str, str]]:
    """Dashboards of the role as `host_state` places them where Grafana reads them."""
    names = [path.rpartition("/")[2] for path in paths]
    return [{"path": f"monitoring/grafana/dashboards/{name}", "src": f"dashboards/{name}"} for name in names]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {
            "blackbox_config": blackbox_config,
            "blackbox_targets": blackbox_targets,
            "dashboard_files": dashboard_files,
            "product_checks": product_checks,
        }
