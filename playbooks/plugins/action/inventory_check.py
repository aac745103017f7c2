"""Refuses an inventory that does not fit the roles' argument specs, before anything on a host is touched."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from ansible import constants
from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

# Ansible ships module_utils to hosts, but does not make them importable on the controller.
sys.path.append(str(Path(__file__).parents[1] / "module_utils"))
from inventory_rules import (
    Fault,
    malformed,
    missing,
    renamed,
    report,
    service_faults,
    size_faults,
    unknown,
)

DOCUMENTATION = """
module: inventory_check
short_description: Validate every variable of the named roles for this host
description: >-
  Runs on the controller only. Fails with one line a fault: the variable, what it should look like, the file to put it
  in. Also refuses names that carry a role's prefix but that the role does not know, and names that were given up
  (roles/<role>/meta/renamed.yml: old to new).
options:
  roles: {type: list, elements: str, required: true, description: Roles whose variables are checked}
  group: {type: str, default: moorage, description: The group whose files the message points at}
"""


class ActionModule(ActionBase):
    """The `inventory_check` task."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return a failed result with the report, or an unchanged one."""
        result = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        faults: list[Fault] = []
        for role in self._task.args["roles"]:
            faults += self._faults_of(role, task_vars)
        faults = self._causes(faults, task_vars)
        if faults:
            group = self._task.args.get("group", "moorage")
            result.update(failed=True, msg=report(faults, self._inventory(task_vars), group))
        return result

    def _causes(self, faults: list[Fault], task_vars: dict[str, Any]) -> list[Fault]:
        """Without the faults of wired variables, where there are others: they only repeat what those say."""
        folder = Path(task_vars.get("playbook_dir", "")) / "group_vars" / "all"
        wired = {name for path in folder.glob("*.yml") for name in yaml.safe_load(path.read_text()) or {}}
        return [fault for fault in faults if fault.variable not in wired] or faults

    def _inventory(self, task_vars: dict[str, Any]) -> str:
        folder = Path(task_vars.get("inventory_dir") or "inventories/NAME")
        here = Path.cwd()
        return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)

    def _faults_of(self, role: str, task_vars: dict[str, Any]) -> list[Fault]:
        meta = self._role_path(role) / "meta"
        spec = yaml.safe_load((meta / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
        old_file = meta / "renamed.yml"
        old_names = yaml.safe_load(old_file.read_text()) or {} if old_file.exists() else {}
        faults = renamed(role, old_names, task_vars) + unknown(role, spec, self._defined(task_vars), old_names)
        values: dict[str, Any] = {}
        for name in spec:
            if name not in task_vars:
                continue
            try:
                values[name] = self._templar.template(task_vars[name])
            except AnsibleError as error:
                faults.append(Fault(role, name, f"cannot be worked out: {error.message}"))
                values[name] = None
                spec = {key: option for key, option in spec.items() if key != name}
        faults += missing(role, spec, values) + malformed(role, spec, values, self._complaints)
        faults += size_faults(role, spec, values)
        services = values.get("stack_services")
        return faults + service_faults(services if isinstance(services, dict) else {})

    def _role_path(self, role: str) -> Path:
        for base in map(Path, constants.config.get_config_value("DEFAULT_ROLES_PATH")):
            if (base / role / "meta" / "argument_specs.yml").exists():
                return base / role
        raise AnsibleError(f"inventory_check: no role {role} with a meta/argument_specs.yml")

    @staticmethod
    def _defined(task_vars: dict[str, Any]) -> dict[str, Any]:
        # Role variables made by the roles themselves (outputs of vars/main.yml) end in these.
        made = ("_compose", "_secrets", "_unit", "_document", "_networks", "_sites", "_asked", "_silenced")
        return {name: None for name in task_vars if not name.endswith(made)}

    @staticmethod
    def _complaints(name: str, value: Any, option: dict[str, Any]) -> list[str]:
        known = {"type", "elements", "choices", "options", "required", "default", "no_log", "required_together"}
        spec = {name: {key: entry for key, entry in option.items() if key in known and key != "required"}}
        checked = ArgumentSpecValidator(spec).validate({name: value})
        return [str(text) for text in checked.error_messages]
