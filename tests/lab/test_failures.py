"""Health tells the truth when a part is gone, and what was broken by hand is put right."""

from __future__ import annotations

import json

import pytest

from tests.lab import Host, Lab, drifts
from tests.lab.fullness import full
from tests.lab.playbook import ansible, succeeded
from tests.lab.web import Client


@pytest.mark.parametrize("part", ["postgres", "object-store"])
def test_readiness_is_honest_and_life_goes_on(site: Host, web: Client, part: str):
    site.exec("docker", "stop", "-t", "20", f"moorage-{part}", timeout=60)
    try:
        answer = web.until("/api/v1/health/ready", lambda answer: answer.status == 503)
        assert json.loads(answer.body)["data"]["ready"] is False
        assert web.api("/api/v1/health/live").status == 200
    finally:
        site.exec("docker", "start", f"moorage-{part}")
    web.until("/api/v1/health/ready", lambda answer: answer.status == 200, seconds=90)


@full
def test_every_drift_is_repaired(lab: Lab, site: Host):
    """All of them by hand, one run; then nothing is left to repair."""
    drifts.make(site)
    assert len(drifts.remaining(site)) == len(drifts.DRIFTS)
    foreseen = succeeded(ansible(lab, "site", "--check"))
    assert foreseen.changed > 0, "check mode must foresee repairs"
    assert len(drifts.remaining(site)) == len(drifts.DRIFTS), "check mode must change nothing"
    assert succeeded(ansible(lab, "site")).changed > 0
    assert drifts.remaining(site) == []
    assert succeeded(ansible(lab, "site")).changed == 0
