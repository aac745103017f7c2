"""A hardened host is hard by somebody else's count, and all that was there still works."""

from __future__ import annotations

import json

import pytest

from tests.drills.conftest import Production
from tests.lab import Host
from tests.lab.playbook import Run
from tests.lab.serving import ROOT


@pytest.fixture(scope="module")
def hardened(production: Production) -> Run:
    return production.converge("harden")


def test_lynis_gives_85_and_what_it_misses_is_listed_with_reasons(site: Host, hardened: Run) -> None:
    report = json.loads(site.exec("cat", f"{ROOT}/harden.json"))
    assert report["index"] >= 85
    assert all(line["reason"] for line in report["excepted"])
    assert f"Hardening index: {report['index']}" in hardened.words


def test_site_yml_keeps_it_and_has_nothing_to_change(production: Production, hardened: Run) -> None:
    for playbook in ("site", "deploy"):
        run = production.converge(playbook, "-e", "hardening_enabled=true")
        assert run.changed == 0, run.changes


def test_a_backup_is_still_made_and_proved(production: Production, hardened: Run) -> None:
    for playbook in ("backup", "verify_backup"):
        production.converge(playbook)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("grep -c '^install dccp /bin/false$' /etc/modprobe.d/moorage.conf", "1"),
        ("su deploy -s /bin/bash -lc 'ulimit -c; umask'", "0\n0027"),
        ("findmnt -no OPTIONS /dev/shm | grep -o noexec", "noexec"),
        ("stat -c %a /root", "700"),
    ],
)
def test_what_was_taken_away_is_gone(site: Host, hardened: Run, command: str, said: str) -> None:
    assert site.exec("sh", "-c", command).strip() == said
