"""A role knows its own variables and nobody else's: wiring lives in group_vars."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
# The guard's rules are about several roles at once; these hand a state to another role's tasks by its own variable.
ALLOWED = {"guard": set(ROLES), "deploy": {"stack_release", "proxy_release"}}


@pytest.mark.parametrize("role", [name for name in ROLES if name != "guard"])
def test_a_role_reads_no_other_roles_variables(role: str) -> None:
    others = "|".join(name for name in ROLES if name not in (role, "deploy", "base"))
    found = set()
    for path in sorted((ROOT / "roles" / role).rglob("*")):
        if path.suffix not in (".yml", ".j2") or "molecule" in path.parts or "meta" in path.parts:
            continue
        expressions = " ".join(re.findall(r"\{\{.*?\}\}|\{%.*?%\}|when: .*|that: .*", path.read_text(), re.DOTALL))
        code = re.sub(r"'[^']*'", "", expressions)
        found |= {match.group(0) for match in re.finditer(rf"(?<![\w.])({others})_[a-z_]+", code)}
    assert found - ALLOWED.get(role, set()) == set()
