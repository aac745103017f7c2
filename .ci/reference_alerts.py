"""The page of the alerts, from the definitions that the rules are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[1] / "roles/monitoring/files/alerts"
RESERVED = {"alert", "expr", "for", "severity", "summary", "description"}
PAGE = """# Alerts

Written by `make docs` from `roles/monitoring/files/alerts`; do not edit. An inventory changes a number, `for` or
`severity`, or takes one out with `enabled: false`, in `monitoring_alerts`:

```yaml
monitoring_alerts:
  HostCpuHigh: {above: 90, for: 15m}
  AuditOverdue: {enabled: false}
```

A deploy silences those of the scopes `product` and `database` while it is under way.

"""
TABLE = "| alert | severity | for | numbers | when |\n|---|---|---|---|---|\n"


def page() -> str:
    """A table for each file of definitions."""
    return PAGE + "\n".join(_section(path) for path in sorted(FOLDER.glob("*.yml")))


def _section(path: Path) -> str:
    group = yaml.safe_load(path.read_text())
    rows = "".join(_row(rule, group["page"]) for rule in group["rules"] if "alert" in rule)
    return f"## {path.stem}\n\nScope `{group['scope']}`.\n\n{TABLE}{rows}"


def _row(rule: dict[str, Any], page: str) -> str:
    name = rule["alert"]
    numbers = ", ".join(f"`{key}: {value}`" for key, value in rule.items() if key not in RESERVED)
    when = " ".join(rule["expr"].split()).replace("|", "&#124;")
    link = f"[{name}](../{page}#{name.lower()})"
    return f"| {link} | {rule['severity']} | {rule.get('for', '')} | {numbers} | `{when}` |\n"
