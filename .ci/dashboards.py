"""Writes Grafana's dashboards from their declarations: `python .ci/dashboards.py [--check]`.

A page is `roles/monitoring/dashboards/<name>.yml`: what a person reads and what Prometheus is asked. Grafana's own form
is added here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DECLARED = ROOT / "roles/monitoring/dashboards"
WRITTEN = ROOT / "roles/monitoring/files/dashboards"

# Grafana 11.6's; a newer Grafana brings it up to its own when it loads the page.
SCHEMA_VERSION = 41
# The data source that roles/monitoring provisions has this uid.
SOURCE = {"type": "prometheus", "uid": "prometheus"}
COLUMNS = 24
WORDS = {
    # Long polls and streams wait by design: no time to an answer is a fault of theirs.
    "$judged": 'route!~"/api/v1/vm-ops/(commands/next|events)|/api/v1/infra/.*"',
}


def dashboard(name: str, page: Mapping[str, Any]) -> dict[str, Any]:
    """A page as Grafana loads it."""
    placed = zip(page["panels"], places(page["panels"]), strict=True)
    return {
        "uid": f"moorage-{name}",
        "title": page["title"],
        "description": page["what"],
        "tags": ["moorage"],
        "timezone": "browser",
        "editable": False,
        "graphTooltip": 1,
        "time": {"from": page.get("since", "now-6h"), "to": "now"},
        "refresh": "1m",
        "schemaVersion": SCHEMA_VERSION,
        "panels": [panel(number, declared, place) for number, (declared, place) in enumerate(placed, 1)],
        "templating": {"list": []},
        "annotations": {"list": [releases()]},
        "links": [others()],
    }


def places(panels: list[Mapping[str, Any]]) -> Iterator[dict[str, int]]:
    """Where each panel stands: from left to right, on a new line where it no longer fits."""
    left = top = below = 0
    for declared in panels:
        width, height = declared.get("width", 8), declared.get("height", 8)
        if left + width > COLUMNS:
            left, top = 0, below
        yield {"x": left, "y": top, "w": width, "h": height}
        left += width
        below = max(below, top + height)


def panel(number: int, declared: Mapping[str, Any], place: Mapping[str, int]) -> dict[str, Any]:
    """One panel: its queries, and how its numbers are shown."""
    kind = declared.get("kind", "timeseries")
    return {
        "id": number,
        "type": kind,
        "title": declared["title"],
        "description": declared.get("what", ""),
        "datasource": SOURCE,
        "gridPos": dict(place),
        "targets": [
            target(chr(ord("A") + n), legend, query, instant=kind == "stat")
            for n, (legend, query) in enumerate(declared["queries"].items())
        ],
        "options": OPTIONS[kind](declared),
        "fieldConfig": {"defaults": fields(declared, kind), "overrides": []},
    }


def target(letter: str, legend: str, query: str, *, instant: bool) -> dict[str, Any]:
    """One question to Prometheus."""
    for word, stands_for in WORDS.items():
        query = query.replace(word, stands_for)
    return {
        "refId": letter,
        "datasource": SOURCE,
        "expr": " ".join(query.split()),
        "legendFormat": legend or "__auto",
        "instant": instant,
        "range": not instant,
    }


def stat(declared: Mapping[str, Any]) -> dict[str, Any]:
    """A number, coloured where there is a limit."""
    coloured = "warn" in declared or "below" in declared
    return {
        "reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""},
        "textMode": declared.get("text", "auto"),
        "colorMode": "value" if coloured else "none",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
    }


def timeseries(_declared: Mapping[str, Any]) -> dict[str, Any]:
    """Lines over time, with their names below."""
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


OPTIONS = {"stat": stat, "timeseries": timeseries}


def fields(declared: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The unit, and where numbers begin to be bad: from `warn` on, or under `below`."""
    shown: dict[str, Any] = {"unit": declared.get("unit", "short"), "thresholds": limits(declared)}
    if "decimals" in declared:
        shown["decimals"] = declared["decimals"]
    if kind == "timeseries":
        marked = "dashed" if "warn" in declared else "off"
        shown["custom"] = {"lineWidth": 1, "fillOpacity": 8, "thresholdsStyle": {"mode": marked}}
    return shown


def limits(declared: Mapping[str, Any]) -> dict[str, Any]:
    """Grafana's steps; the first one has no beginning."""
    if "below" in declared:
        steps = [{"value": None, "color": "red"}, {"value": declared["below"], "color": "green"}]
    else:
        steps = [{"value": None, "color": "green"}]
        steps += [{"value": declared["warn"], "color": "red"}] if "warn" in declared else []
    return {"mode": "absolute", "steps": steps}


def releases() -> dict[str, Any]:
    """A line in every panel where a release went out."""
    return {
        "name": "Releases",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": "changes(moorage_release_timestamp_seconds[2m]) > 0",
    }


def others() -> dict[str, Any]:
    """The way to the other pages."""
    return {
        "title": "Moorage", "type": "dashboards", "icon": "external link", "tooltip": "", "tags": ["moorage"],
        "asDropdown": True, "targetBlank": False, "includeVars": False, "keepTime": True,
    }  # fmt: skip


def written() -> dict[Path, str]:
    """Each file and its text."""
    declared = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(DECLARED.glob("*.yml"))}
    made = {name: dashboard(name, page) for name, page in declared.items()}
    return {WRITTEN / f"{name}.json": json.dumps(page, indent=2) + "\n" for name, page in made.items()}


def main() -> int:
    """Write the dashboards, or with --check say which are stale."""
    texts = written()
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    stale += [path for path in WRITTEN.glob("*.json") if path not in texts]
    if "--check" not in sys.argv:
        for path in stale:
            path.write_text(texts[path]) if path in texts else path.unlink()
        return 0
    for path in stale:
        sys.stderr.write(f"{path.relative_to(ROOT)} is stale: run `make dashboards` and commit it\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
