"""What the status page shows of what is checked. A pure function of data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def page_checks(checks: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Each check as strangers see it: the `name` it is found by, and its `title` or else that name; not its address."""
    return [{"name": check["name"], "title": check.get("title") or check["name"]} for check in checks]


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"page_checks": page_checks}
