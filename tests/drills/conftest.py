"""The long ones, on a lab host of their own (`make drills`): what `make test` has no time for."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from tests.drills.runbook import Runbook
from tests.lab import Host, Lab, elsewhere
from tests.lab.conftest import beside, first, lab, site, vps, web
from tests.lab.network import FIRST_HOST
from tests.lab.playbook import Run, ansible, succeeded


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/drills" in str(item.path):
            item.add_marker(pytest.mark.lab)


class Production:
    """The host as a team would have it: a bucket elsewhere, a backup in it, packages of today.

    Args:
        further: variables beyond the lab's inventory.
    """

    def __init__(self, lab: Lab, further: Mapping[str, object]) -> None:
        self.lab, self.further = lab, dict(further)
        file = lab.folder / "further.json"
        file.write_text(json.dumps(further))
        self.words = ["-e", f"@{file}"]

    def converge(self, playbook: str = "site", *args: str) -> Run:
        """Run a playbook with this inventory; it must succeed."""
        return succeeded(ansible(self.lab, playbook, *self.words, *args))

    def runbook(self, page: str, **says: str) -> Runbook:
        """A page about to be followed on this host."""
        inventory = ["inventories/lab", "-e", f"@{self.lab.folder}/generated.yml", *self.words]
        return Runbook(self.lab, page, " ".join(inventory), says)


@pytest.fixture(scope="session")
def production(lab: Lab, site: Host) -> Production:
    """The product in production, backed up a moment ago."""
    site.upgrade()
    elsewhere.hand_keys_over(lab)
    further = {
        "backup_targets": [{"name": "local", "path": "/backup/repository"}, elsewhere.target(lab)],
        # A lab host has a second, inner address; whoever knows it is outside, too.
        "audit_scan_address": lab.plan.bridge(FIRST_HOST),
        "audit_ports": "22,80,443,2375,5432,9999",
    }
    made = Production(lab, further)
    made.converge()
    made.converge("backup")
    return made


__all__ = ["beside", "first", "lab", "site", "vps", "web"]
