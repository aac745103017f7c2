"""Looks at a host from the controller, which is outside: certificates, headers, ports."""

from __future__ import annotations

import http.client
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Ansible ships module_utils to hosts, but does not make them importable on the controller.
sys.path.append(str(Path(__file__).parents[1] / "module_utils"))
import audit
import outside
from http_probe import ask

SURE_SECONDS = 5.0


class ActionModule(ActionBase):
    """The `audit_outside` task; its arguments are in playbooks/plugins/modules/audit_outside.py."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """`findings`, and how many `ports` were knocked at."""
        result = super().run(tmp, task_vars)
        args = {str(key): value for key, value in self._task.args.items()}
        address, ca = str(args.get("address") or ""), str(args.get("ca") or "")
        try:
            numbers = outside.ports_of(str(args.get("ports") or ""))
        except ValueError as error:
            raise AnsibleActionFail(f"audit_ports: {error}") from error
        names = [str(name) for name in args["names"]]
        findings = _certificates(names, address, ca, int(args.get("days", 14))) + _headers(names, address, ca)
        where = str(args.get("scan") or address or names[0])
        allowed = {int(str(port).partition("/")[0]) for port in args["allowed"] if not str(port).endswith("/udp")}
        # What answers when it is given time must be seen again among the many: else the scan was too quick to be true.
        sure = outside.open_ports(where, allowed & set(numbers), SURE_SECONDS)
        seen = outside.open_ports(where, numbers)
        findings += audit.found("ports", audit.ports(seen, allowed) + audit.unseen(sure, seen, numbers))
        return {**result, "changed": False, "findings": findings, "ports": len(numbers), "open": seen}


def _certificates(names: list[str], address: str, ca: str, days: int) -> list[dict[str, str]]:
    now = datetime.now(UTC)
    lines: list[str] = []
    for name in names:
        lines += audit.certificate(name, outside.certificate(name, address, ca), now, days)
    return audit.found("certificates", lines)


def _headers(names: list[str], address: str, ca: str) -> list[dict[str, str]]:
    lines: list[str] = []
    for name in names:
        try:
            answer = ask(f"https://{name}/", address, ca, {}, 10.0)
            page = "text/html" in answer.headers.get("content-type", "")
            lines += audit.headers(f"https://{name}/", answer.headers, page=page)
            plain = ask(f"http://{name}/", address, ca, {}, 10.0)
            if plain.status not in (301, 308) or not plain.headers.get("location", "").startswith("https://"):
                lines.append(f"http://{name}/: answers {plain.status} and does not send to https")
        except (OSError, http.client.HTTPException) as error:
            lines.append(f"{name}: could not be asked: {error}")
    return audit.found("headers", lines)
