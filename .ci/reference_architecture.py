"""The page that draws the example inventory's stack, as its Compose document and its sites have it."""

from __future__ import annotations

from typing import Any

import yaml

from tests.rendering import ROOT, example_pins, released, renderer

HEAD = """# Architecture

Written by `python .ci/reference.py` from `inventories/example`; do not edit. It shows what the host runs once that
inventory is deployed: what answers to which name, who can reach whom, and what each may use. One slot is drawn; while a
release goes out its units run in both ([slots](../explanation/slots.md)). Who says what to whom, and why, is in
[ports and networks](ports-and-networks.md).

## From outside

"""
SLOT = "-blue"


def page() -> str:
    """The whole page."""
    render, facts = renderer(), released()
    given = {"ansible_facts": facts, "__stack_release": facts["release"], "stack_pins": example_pins()}
    document = yaml.safe_load(render(ROOT / "roles/stack/templates/compose.yml.j2", **given))
    services = {name.removesuffix(SLOT): service for name, service in document["services"].items()}
    return HEAD + outside(render("{{ proxy_sites }}")) + inside(services, document["networks"]) + limits(services)


def fenced(lines: list[str]) -> str:
    """A drawing, as GitHub renders it."""
    return "```mermaid\n" + "\n".join(lines) + "\n```\n"


def outside(sites: list[dict[str, Any]]) -> str:
    """Which name leads to what."""
    lines = ["flowchart LR", "  world((internet)) -->|80, 443| proxy[proxy: Caddy]"]
    for number, site in enumerate(sites):
        lines.append(f"  proxy --- site{number}([{site['host']}])")
        for route in site.get("routes", []):
            target = route["to"].partition(":")[0]
            words = f"|\"{'<br/>'.join(route['paths'])}\"|" if route.get("paths") else ""
            lines.append(f"  site{number} -->{words} {target}[{target}]")
        if "files" in site:
            lines.append(f"  site{number} --> files{number}[/\"files in static/{site['files']}\"/]")
    return fenced(lines)


def inside(services: dict[str, Any], networks: dict[str, Any]) -> str:
    """Who is on which bridge."""
    lines = ["flowchart LR"]
    lines += [f"  {name}{{{{{name}{', no way out' if (facts or {}).get('internal') else ''}}}}}"
              for name, facts in sorted(networks.items())]  # fmt: skip
    for name, service in sorted(services.items()):
        lines += [f"  {name}[{name}] --- {network}" for network in sorted(service["networks"])]
    words = "Containers reach each other where they share a network (the hexagons), by these names, and nowhere else.\n"
    return f"\n## Inside\n\n{words}\n" + fenced(lines)


def limits(services: dict[str, Any]) -> str:
    """What each may use, and where what it keeps lies."""
    lines = ["| service | image | memory | processors | keeps |", "|---|---|---|---|---|"]
    for name, service in sorted(services.items()):
        image = service["image"].partition("@")[0].rpartition("/")[2]
        mounts = [volume.split(":") for volume in service.get("volumes") or []]
        kept = ", ".join(f"`{mount[0].removeprefix('./')}`" for mount in mounts if not mount[-1].startswith("ro"))
        lines.append(f"| {name} | {image} | {service['mem_limit']} | {service['cpus']} | {kept} |")
    words = "Paths are below `/opt/moorage`. What only reads is left out of the last column."
    return f"\n## Limits\n\n{words}\n\n" + "\n".join(lines) + "\n"
