"""The long ones, on a lab host of their own (`make drills`): what `make test` has no time for."""

from __future__ import annotations

import pytest

from tests.lab.conftest import beside, first, lab, site, vps, web


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/drills" in str(item.path):
            item.add_marker(pytest.mark.lab)


__all__ = ["beside", "first", "lab", "site", "vps", "web"]
