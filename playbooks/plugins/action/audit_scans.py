"""Scans on the controller: git's history for secrets, the host's packages and images for known holes."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

# Ansible ships module_utils to hosts, but does not make them importable on the controller.
sys.path.append(str(Path(__file__).parents[1] / "module_utils"))
import audit
import scans

ROOT = Path(__file__).resolve().parents[3]
CACHE = ROOT / ".moorage/trivy"
RULES = ROOT / ".ci/secrets.yml"
FILES = ("/var/lib/dpkg/status", "/etc/os-release")


class ActionModule(ActionBase):
    """The `audit_scans` task; its arguments are in playbooks/plugins/modules/audit_scans.py."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """`findings`; a scan that could not be made is one."""
        result = super().run(tmp, task_vars)
        images = sorted({str(image) for image in self._task.args.get("images") or []})
        findings = audit.found("history", self._history(Path(str(self._task.args.get("repository") or ROOT))))
        try:
            scans.database(ROOT, CACHE)
        except scans.NoData as problem:
            for what in ("packages", *images):
                check = "packages" if what == "packages" else "images"
                findings += audit.found(check, audit.vulnerabilities(what, None, str(problem)))
            return {**result, "changed": False, "findings": findings}
        status, release = (self._fetched(path, task_vars) for path in FILES)
        findings += self._scanned("packages", "packages", lambda: scans.packages(status, release, CACHE))
        for image in images:
            findings += self._scanned("images", image, lambda image=image: scans.image(image, CACHE))
        return {**result, "changed": False, "findings": findings}

    def _history(self, repository: Path) -> list[str]:
        try:
            return audit.secrets(*scans.history(repository, RULES, CACHE))
        except scans.NoData as problem:
            return [f"git's history was not looked at: {problem}"]

    def _scanned(self, check: str, what: str, scan: Any) -> list[dict[str, str]]:
        try:
            return audit.found(check, audit.vulnerabilities(what, scan()))
        except scans.NoData as problem:
            return audit.found(check, audit.vulnerabilities(what, None, str(problem)))

    def _fetched(self, path: str, task_vars: dict[str, Any] | None) -> bytes:
        answer = self._execute_module("ansible.builtin.slurp", module_args={"src": path}, task_vars=task_vars)
        return base64.b64decode(answer.get("content", ""))
