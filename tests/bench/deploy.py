"""`make bench-deploy`: what deploys and rollbacks take, and what they cost those who use the product meanwhile.

Beside them, in the same run and under the same load: `docker compose up -d` with another image in place.
All figures of one table come from one run on one machine; only their ratios travel.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import time
from dataclasses import dataclass

from tests.bench.in_place import IN_PLACE, replace_in_place
from tests.lab import Host, Lab
from tests.lab.playbook import Run, ansible, succeeded
from tests.load import Ledger, Load, practice
from tests.load.plan import FRESH

NAME = "bench"
RUNS, SWITCHES, TIMES_IN_PLACE = 3, 10, 3
ONE, TWO = "sha-practice-one", "sha-practice-two"
WAYS = {"deploy": ["-e", f"image_tag={TWO}"], "rollback": []}
# What a switch leaves behind (sockets on their way back, containers that start) still belongs to it.
SETTLE_SECONDS = 3.0
START_SECONDS = 12.0
_DRAINED = re.compile(r"The old slot took ([\d.]+) s")


@dataclass(frozen=True)
class Switch:
    """How long one took, in seconds: to the new digest probed, for the old slot to go, the playbook as a whole."""

    way: str
    probed: float
    drained: float
    whole: float

    @classmethod
    def of(cls, way: str, host: Host, run: Run) -> Switch:
        """Read off the host's own record and what the playbook said. Raises AssertionError where it failed."""
        succeeded(run)
        entry = json.loads(host.exec("tail", "-n", "1", "/opt/moorage/releases.jsonl"))
        assert entry["kind"] == way and entry["verdict"] == "success", entry
        drained = _DRAINED.search(run.words)
        assert drained, run.output
        return cls(way, entry["seconds"], float(drained[1]), run.seconds)


def switched(lab: Lab, host: Host, way: str) -> Switch:
    """One deploy of the second version, or one rollback to the first."""
    return Switch.of(way, host, ansible(lab, way, *WAYS[way]))


def print_times(title: str, switches: list[Switch]) -> None:
    """Medians by way."""
    print(f"\n| {title} | to new digest probed, s (worst) | drain, s (worst) | whole playbook, s |\n|---|---|---|---|")
    for way in WAYS:
        mine = [switch for switch in switches if switch.way == way]
        cells = [
            f"{statistics.median(times):.1f} ({max(times):.1f})"
            for times in ([switch.probed for switch in mine], [switch.drained for switch in mine])
        ]
        whole = statistics.median(switch.whole for switch in mine)
        print(f"| {way}, median of {len(mine)} | {' | '.join(cells)} | {whole:.1f} |")


def under_load(lab: Lab, host: Host) -> int:
    """Print what the switches lost, and the same for replacing in place; return the former's faults."""
    ledger = Ledger(host)
    ledger.prepare()
    ours: dict[str, Switch] = {}
    theirs: list[str] = []
    with Load(lab, fresh=FRESH) as load:
        for number in range(1, SWITCHES + 1):
            for way in WAYS:
                load.mark(f"{way} {number}")
                ours[f"{way} {number}"] = switched(lab, host, way)
                time.sleep(SETTLE_SECONDS)
        for proxy, prepare in IN_PLACE.items():
            prepare(host)
            for number in range(1, TIMES_IN_PLACE + 1):
                theirs.append(f"compose up -d {number}, {proxy}")
                load.mark(theirs[-1])
                replace_in_place(host, len(theirs))
                time.sleep(START_SECONDS)
        report = ledger.settle(load.report())
    print_times("under load", list(ours.values()))
    beside = {
        "probed s": {name: f"{switch.probed:.1f}" for name, switch in ours.items()},
        "drain s": {name: f"{switch.drained:.1f}" for name, switch in ours.items()},
    }
    print(f"\n{report.table(list(ours), beside)}\n\n{report.table(theirs)}")
    faults = report.faults(list(ours))
    print("\n".join(faults))
    return len(faults)


def main() -> int:
    """Print the tables."""
    lab = Lab.open(NAME)
    try:
        lab.up({"vps": "debian13"})
        lab.push("sha-one")
        lab.push("sha-two")
        practice.push(lab, ONE, "sha-one")
        practice.push(lab, TWO, "sha-two")
        succeeded(ansible(lab, "site", "-e", f"image_tag={ONE}"))
        host = lab.hosts["vps"]
        print_times("without load", [switched(lab, host, way) for _ in range(RUNS) for way in WAYS])
        return 1 if under_load(lab, host) else 0
    finally:
        lab.down()


if __name__ == "__main__":
    sys.exit(main())
