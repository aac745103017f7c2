"""What an inventory may say: the roles' argument specs, read as one contract for all variables of a host.

Pure functions of dictionaries, so that the rules can be tested without a host.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Spec = Mapping[str, Mapping[str, Any]]


class Fault(NamedTuple):
    """One thing wrong with an inventory: which variable, of which role, and what to do about it."""

    role: str
    variable: str
    problem: str


def describe(option: Mapping[str, Any]) -> str:
    """What a value should look like, in one phrase made from its argument spec.

    Args:
        option: one entry of ``argument_specs.main.options``.
    """
    kind = str(option.get("type", "str"))
    if kind == "list" and option.get("elements"):
        kind = f"list of {option['elements']}"
    if option.get("choices"):
        kind += ", one of " + ", ".join(str(choice) for choice in option["choices"])
    text = option.get("description", "")
    words = " ".join(text) if isinstance(text, list) else str(text)
    return f"{kind}: {words}" if words else kind


def missing(role: str, spec: Spec, values: Mapping[str, Any]) -> list[Fault]:
    """Required variables that are absent or empty; an empty string is no value for a required one."""
    return [
        Fault(role, name, f"is missing. It should be a {describe(option)}")
        for name, option in spec.items()
        if option.get("required") and values.get(name) in (None, "", [], {})
    ]


def malformed(
    role: str, spec: Spec, values: Mapping[str, Any], validate: Callable[[str, Any, Mapping[str, Any]], list[str]]
) -> list[Fault]:
    """Variables whose value does not fit their spec.

    Args:
        validate: returns the complaints about one (name, value, option); Ansible's own validator in production.
    """
    faults = []
    for name, option in spec.items():
        if values.get(name) in (None, ""):
            continue
        complaints = validate(name, values[name], option)
        faults += [Fault(role, name, f"{text}. It should be a {describe(option)}") for text in complaints]
    return faults


def renamed(role: str, names: Mapping[str, str], defined: Mapping[str, Any]) -> list[Fault]:
    """Variables that are still called by a name that was given up.

    Args:
        names: old name to new name.
    """
    return [
        Fault(role, old, f"has been renamed to {new}. Rename it in the inventory; its meaning is unchanged")
        for old, new in names.items()
        if old in defined
    ]


def unknown(role: str, spec: Spec, defined: Mapping[str, Any], old_names: Mapping[str, str]) -> list[Fault]:
    """Variables that carry the role's prefix but that the role does not know: most often a typing error."""
    faults = []
    for name in defined:
        if not name.startswith(f"{role}_") or name in spec or name in old_names:
            continue
        near = difflib.get_close_matches(name, list(spec), n=1)
        hint = f"Did you mean {near[0]}?" if near else f"The role knows: {', '.join(sorted(spec))}"
        faults.append(Fault(role, name, f"is not a variable of the role {role}. {hint}"))
    return faults


# Keys of an entry of stack_services (docs/reference/stack-services.md) and what each must be.
SERVICE_KEYS: dict[str, type | tuple[type, ...]] = {
    "command": (str, list),
    "cpus": (int, float),
    "environment": dict,
    "healthcheck": dict,
    "host": str,
    "image": str,
    "max_body": str,
    "memory": (str, int),
    "networks": list,
    "port": int,
    "probe": (dict, bool),
    "routes": list,
    "secrets": list,
    "tmpfs": list,
    "user": (str, int),
    "volumes": list,
}
# The stack's own names: a product service of the same name would take their place.
OWN_NAMES = {
    *("api", "sockets", "worker", "setup", "controlplane"),
    *("proxy", "postgres", "object-store", "postgrest", "gotrue", "storage"),
    *("prometheus", "alertmanager", "node-exporter", "blackbox-exporter", "postgres-exporter", "grafana"),
}
OWN_HOSTS = {"api", "s3", "status", "grafana"}
SIZE = re.compile(r"\d+\s*[kmg]?b?", re.IGNORECASE)


def service_faults(services: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with the product's services, each named by its path."""
    faults: list[str] = []
    hosts: dict[str, str] = {}
    for name, service in services.items():
        path = f"stack_services.{name}"
        if name in OWN_NAMES or not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            faults.append(path + ": the name is the stack's own, or not of a-z, 0-9 and -; take another")
        if not isinstance(service, Mapping):
            faults.append(path + " must be a dictionary with at least `image`")
            continue
        if not service.get("image"):
            faults.append(path + ".image is missing: the image's name, with a tag only where stack_pins pins it")
        for key, value in service.items():
            if key not in SERVICE_KEYS:
                near = difflib.get_close_matches(key, SERVICE_KEYS, n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; it knows {', '.join(SERVICE_KEYS)}"
                faults.append(f"{path}.{key} is not a key of a service{hint}")
            elif not isinstance(value, SERVICE_KEYS[key]):
                faults.append(f"{path}.{key} is {value!r}, which is of the wrong type")
        if not SIZE.fullmatch(str(service.get("memory", "1m"))):
            faults.append(f"{path}.memory is {service['memory']!r}, which is no size; write for example 128m")
        host = service.get("host")
        if host in OWN_HOSTS or host in hosts:
            owner = hosts.get(host, "the stack itself")
            faults.append(f"{path}.host is {host!r}, which {owner} has already")
        elif host:
            hosts[host] = path
    return [Fault("stack", text, "") for text in faults]


def size_faults(role: str, spec: Spec, values: Mapping[str, Any]) -> list[Fault]:
    """Memory limits that Compose would not understand."""
    return [
        Fault(role, name, f"is {values[name]!r}, which is no size; write for example 512m or 2g")
        for name, option in spec.items()
        if name.endswith("_memory") and values.get(name) and not SIZE.fullmatch(str(values[name]))
    ]


def report(faults: list[Fault], inventory: str, group: str) -> str:
    """The message a person reads: one line a fault, each with the file to put it right in."""
    lines = [f"{len(faults)} thing(s) to put right in the inventory; nothing on the host was changed."]
    for fault in faults:
        place = f"{inventory}/group_vars/{group}/{fault.role}.yml"
        lines.append(f"  {fault.variable} {fault.problem.rstrip('.')}. File: {place}")
    return "\n".join(lines)
