"""Filters for reports: what is told to a person, to a program, and to Prometheus. Pure functions of data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def drift_items(notes: Iterable[Mapping[str, Any]], looked: Iterable[str]) -> list[str]:
    """One line for each thing that is not as declared: what roles would do, then what no role declares."""
    would = [f"{line}  ({note['task']})" for note in notes for line in note["said"]]
    return list(dict.fromkeys([*would, *looked]))


def running_images(
    document: Mapping[str, Any], infrastructure: Iterable[str], active: Iterable[str]
) -> dict[str, str]:
    """Service to its image by digest, of what must run.

    Args:
        document: the Compose document.
        infrastructure: services without slots; those of a profile do not run by themselves.
        active: services of the slots that serve.
    """
    services = document["services"]
    names = [name for name in infrastructure if not services.get(name, {}).get("profiles")]
    return {name: services[name]["image"] for name in [*names, *active] if name in services}


def open_ports(rules: Iterable[Mapping[str, Any]]) -> list[str]:
    """Rules of the firewall as `443/udp`."""
    return [f"{rule['port']}/{rule.get('proto', 'tcp')}" for rule in rules]


def metric_text(samples: Mapping[str, Any], meanings: Mapping[str, str]) -> str:
    """Prometheus' text format, a gauge for each name."""
    lines = []
    for name, value in samples.items():
        lines += [f"# HELP {name} {meanings[name]}", f"# TYPE {name} gauge", f"{name} {float(value):.0f}"]
    return "".join(f"{line}\n" for line in lines)


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {
            "drift_items": drift_items,
            "metric_text": metric_text,
            "open_ports": open_ports,
            "running_images": running_images,
        }
