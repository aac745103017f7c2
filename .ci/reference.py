"""Writes the generated pages of the manual: `python .ci/reference.py [--check]`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the control plane of this tree, whatever is installed

import reference_alerts  # noqa: E402 - see above
import reference_api  # noqa: E402 - see above
import reference_architecture  # noqa: E402 - see above
import reference_metrics  # noqa: E402 - see above

REFERENCE = ROOT / "docs/reference"
HEAD = """# Variables of the inventory

Written by `python .ci/reference.py` from `roles/*/meta/argument_specs.yml`; do not edit. A variable belongs into the
file `inventories/<name>/group_vars/moorage/<role>.yml`. Those marked *wired* are set in
`playbooks/group_vars/all/wiring.yml`.
"""


def shown(value: Any) -> str:
    """A default as it would stand in an inventory, shortened where it is long."""
    text = "" if value is None else str(value).replace("\n", " ")
    return f"`{text[:60]}{'…' if len(text) > 60 else ''}`" if text else ""


def table(role: Path) -> str:
    """One role's variables as a Markdown table."""
    spec = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]
    defaults_file = role / "defaults/main.yml"
    defaults = (yaml.safe_load(defaults_file.read_text()) or {}) if defaults_file.exists() else {}
    wired = yaml.safe_load((ROOT / "playbooks/group_vars/all/wiring.yml").read_text())
    lines = [
        f"\n## {role.name}\n",
        str(spec["short_description"]) + ".\n",
        "| variable | type | default | what |",
        "|---|---|---|---|",
    ]
    for name, option in sorted((spec.get("options") or {}).items()):
        text = option.get("description", "")
        words = " ".join(text) if isinstance(text, list) else str(text)
        kind = option.get("type", "str") + (f" of {option['elements']}" if option.get("elements") else "")
        if option.get("choices"):
            words += f" ({', '.join(map(str, option['choices']))})"
        default = (
            "*wired*" if name in wired else "**required**" if option.get("required") else shown(defaults.get(name))
        )
        lines.append(f"| `{name}` | {kind} | {default.replace('|', '&#124;')} | {words.replace('|', '&#124;')} |")
    return "\n".join(lines) + "\n"


def variables() -> str:
    """What an inventory may say, from the roles' argument specs."""
    return HEAD + "".join(table(spec.parents[1]) for spec in sorted(ROOT.glob("roles/*/meta/argument_specs.yml")))


PAGES: dict[str, Callable[[], str]] = {
    "variables.md": variables,
    "api.md": reference_api.operations,
    "errors.md": reference_api.errors,
    "metrics.md": reference_metrics.page,
    "alerts.md": reference_alerts.page,
    "architecture.md": reference_architecture.page,
}


def main() -> int:
    """Write the pages, or with --check say which are stale."""
    texts = {name: page() for name, page in PAGES.items()}
    stale = [name for name, text in texts.items() if not _is(REFERENCE / name, text)]
    if "--check" not in sys.argv:
        for name in stale:
            (REFERENCE / name).write_text(texts[name])
        return 0
    for name in stale:
        sys.stderr.write(f"docs/reference/{name} is stale: run `make docs` and commit it\n")
    return 1 if stale else 0


def _is(page: Path, text: str) -> bool:
    return page.exists() and page.read_text() == text


if __name__ == "__main__":
    sys.exit(main())
