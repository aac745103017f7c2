"""Deploys and rollbacks in the middle of the day: no request is lost, no POST runs twice, sockets are told and back."""

from __future__ import annotations

import json
import time

import pytest

from tests.lab import Host, Lab
from tests.lab.playbook import ansible, succeeded
from tests.load import Ledger, Load, Report, Window, practice
from tests.load.plan import FRESH

SWITCHES = {"small": 1, "full": 5}
SOCKETS = 50
# Requests a second; the lower one where a machine cannot carry four times the higher while nothing is deployed: its
# processors also run the deploy, the load and whatever is tested beside. A request that waits a minute for one says
# nothing about what a deploy loses. `make bench-deploy` has 500.
RATES = (125, 60)
ROOM = 4
CARRIED_MS = 500.0
# After a playbook's end: what was told to come back is back by then, and belongs to the switch that told it.
SETTLE_SECONDS = 3.0


@pytest.fixture(scope="module")
def ledger(lab: Lab, site: Host) -> Ledger:
    """Two versions to go to and fro between, the first one serving, and the table that their POSTs write to."""
    lab.push("sha-two")
    practice.push(lab, "sha-practice-one", "sha-one")
    practice.push(lab, "sha-practice-two", "sha-two")
    succeeded(ansible(lab, "deploy", "-e", "image_tag=sha-practice-one"))
    ledger = Ledger(site)
    ledger.prepare()
    return ledger


@pytest.fixture(scope="module")
def rate(lab: Lab, ledger: Ledger) -> int:
    """The highest of RATES of which this machine carries ROOM times as much, else the lowest."""
    for rate in RATES[:-1]:
        with Load(lab, sockets=0, rate=ROOM * rate, timeout=30) as load:
            load.mark("quiet")
            time.sleep(SETTLE_SECONDS)
            report = ledger.settle(load.report())
        if report.total().p99 < CARRIED_MS:
            return rate
    return RATES[-1]


def test_deploys_and_rollbacks_under_load_lose_nothing(
    lab: Lab,
    site: Host,
    ledger: Ledger,
    rate: int,
    capsys: pytest.CaptureFixture[str],
    pytestconfig: pytest.Config,
) -> None:
    switches = SWITCHES[pytestconfig.getoption("--lab")]
    ways = {"deploy": ["-e", "image_tag=sha-practice-two"], "rollback": []}
    with Load(lab, sockets=SOCKETS, rate=rate, fresh=FRESH) as load:
        for number in range(1, switches + 1):
            for way, arguments in ways.items():
                load.mark(f"{way} {number}")
                succeeded(ansible(lab, way, *arguments))
                time.sleep(SETTLE_SECONDS)
        report = ledger.settle(load.report())
    with capsys.disabled():  # the figures are part of what the suite says
        print(f"\n{rate} requests a second\n{report.table()}")
    assert report.faults() == []
    total = report.total()
    assert total.sent == total.answered > rate * SETTLE_SECONDS * switches * len(ways)
    assert [window.told for window in report.windows[1:]] == [SOCKETS] * switches * len(ways)
    entries = site.exec("tail", "-n", str(switches * len(ways)), "/opt/moorage/releases.jsonl").splitlines()
    assert {json.loads(entry)["verdict"] for entry in entries} == {"success"}


def test_the_ledger_finds_what_ran_twice_and_what_was_lost(site: Host, ledger: Ledger) -> None:
    stored = "('proof-0', 'a'), ('proof-1', 'a'), ('proof-1', 'b'), ('proof-4', 'a')"
    ledger.sql(
        f"DELETE FROM practice_posts WHERE id LIKE 'proof-%'; INSERT INTO practice_posts (id, slot) VALUES {stored}"
    )
    windows = [Window("first", posts=(0, 2)), Window("second", posts=(2, 5))]
    report = ledger.settle(Report("proof", windows, unanswered=[2], cpu=0))
    assert [window.twice for window in windows] == [1, 0]
    assert [window.lost for window in windows] == [0, 1], "3 is lost; 2 had no answer, so nobody was promised anything"
    assert len(report.faults()) == 2
