"""Prometheus' rules from the role's definitions and what an inventory changes of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError

Group = dict[str, Any]
# Of a rule, everything else is a parameter that its texts name as $parameter.
RESERVED = {"alert", "record", "expr", "for", "severity", "summary", "description"}
SEVERITIES = ("critical", "warning", "none")
_DURATION = re.compile(r"([0-9]+(ms|[smhdwy]))+|0")


def alert_definitions(folder: str) -> dict[str, Group]:
    """The files of a folder, by name: each ``{scope, page, rules}``."""
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted(Path(folder).glob("*.yml"))}


def alert_rules(groups: Mapping[str, Group], changes: Mapping[str, Any], manual: str) -> Group:
    """The rule file.

    Args:
        groups: what `alert_definitions` gives.
        changes: alert to what of it is otherwise (`monitoring_alerts`): parameters, ``for``, ``severity``, or
            ``enabled: false``.
        manual: address that the runbooks' pages are below.

    Raises:
        AnsibleFilterError: for an alert or a parameter that there is none of, or a value of the wrong kind.
    """
    known = {rule["alert"]: rule for group in groups.values() for rule in group["rules"] if "alert" in rule}
    for name, change in changes.items():
        _refuse(name, change, known)
    return {
        "groups": [
            {
                "name": name,
                "rules": [
                    _rule(rule, group, changes.get(rule.get("alert"), {}), manual)
                    for rule in group["rules"]
                    if changes.get(rule.get("alert"), {}).get("enabled", True)
                ],
            }
            for name, group in groups.items()
        ]
    }


def _refuse(name: str, change: Any, known: Mapping[str, Any]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise AnsibleFilterError(f"monitoring_alerts.{name} is no alert{hint}")
    if not isinstance(change, Mapping):
        raise AnsibleFilterError(f"monitoring_alerts.{name} must be a dictionary, for example {{for: 10m}}")
    numbers = set(known[name]) - RESERVED
    for key, value in change.items():
        good = {
            "for": isinstance(value, str) and _DURATION.fullmatch(value) is not None,
            "severity": value in SEVERITIES,
            "enabled": isinstance(value, bool),
        }.get(key, key in numbers and isinstance(value, int | float) and not isinstance(value, bool))
        if not good:
            wanted = ", ".join([*sorted(numbers), "for (5m, 2h)", f"severity ({', '.join(SEVERITIES)})", "enabled"])
            raise AnsibleFilterError(f"monitoring_alerts.{name}.{key} cannot be {value!r}; it may have: {wanted}")


def _rule(rule: Mapping[str, Any], group: Mapping[str, Any], change: Mapping[str, Any], manual: str) -> Group:
    whole = {**rule, **change}
    numbers = {key: value for key, value in whole.items() if key not in RESERVED}
    expression = _filled(whole["expr"], numbers)
    if "record" in whole:
        return {"record": whole["record"], "expr": expression}
    name = whole["alert"]
    out: Group = {"alert": name, "expr": expression}
    if whole.get("for"):
        out["for"] = whole["for"]
    return {
        **out,
        "labels": {"severity": whole["severity"], "scope": group["scope"]},
        "annotations": {
            "summary": _filled(whole["summary"], numbers),
            "description": _filled(whole["description"], numbers),
            "runbook_url": f"{manual.rstrip('/')}/{group['page']}#{name.lower()}",
        },
    }


def _filled(text: str, numbers: Mapping[str, Any]) -> str:
    """$parameters put in; `[[ … ]]` becomes what Prometheus fills in, which Ansible would take for its own."""
    return Template(text).safe_substitute(numbers).replace("[[", "{{").replace("]]", "}}")


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"alert_definitions": alert_definitions, "alert_rules": alert_rules}
