"""What a backup of 1 GB costs those who use the product meanwhile, and what the loss of the host costs."""

from __future__ import annotations

import json
import statistics
import threading
import time
from contextlib import suppress
from functools import partial

from tests.bench.host import resident_mb
from tests.bench.ops_data import fill
from tests.lab import Host, Lab, Shape, elsewhere
from tests.lab.errors import CommandError
from tests.lab.playbook import ansible, succeeded
from tests.load import Ledger, Load, practice

NAME = "bench"
TAG = "sha-practice-one"
RATE, ROUNDS, QUIET_SECONDS = 100, 3, 60
ASKED_P95, ASKED_RTO, ASKED_RPO = 1.3, 30 * 60, 5 * 60
LOG_SECONDS = 150


def host_part() -> int:
    """Print the tables of the lab host; how many figures fall short."""
    lab = Lab.open(NAME)
    try:
        host, given = _product(lab)
        size = fill(partial(Ledger(host).sql, timeout=1800))
        print(f"\nThe lab host's database: {size / 2**30:.2f} GiB.")
        return _beside(lab, host) + _lost(lab, host, given)
    finally:
        lab.down()


def _product(lab: Lab) -> tuple[Host, list[str]]:
    """The product on a lab host, with a bucket elsewhere; the host, and what the inventory says beyond the lab's."""
    lab.up({"vps": "debian13"})
    lab.push("sha-one")
    practice.push(lab, TAG, "sha-one")
    succeeded(ansible(lab, "site", "-e", f"image_tag={TAG}"))
    elsewhere.hand_keys_over(lab)
    # As delivered: the lab's inventory is in a hurry.
    delivered = {"backup_ship_seconds": 120, "backup_target_seconds": 240, "backup_fast_checkpoint": False}
    given = [
        "-e",
        json.dumps({"backup_targets": [elsewhere.target(lab)], "monitoring_interval_seconds": 15, **delivered}),
    ]
    succeeded(ansible(lab, "deploy", *given))
    Ledger(lab.hosts["vps"]).prepare()
    return lab.hosts["vps"], given


class Weights:
    """Resident memory of what backs up, sampled while the block runs: the most of it, in MiB."""

    def __init__(self, host: Host) -> None:
        self._host, self._over = host, threading.Event()
        self.most = 0.0
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._over.wait(5):
            # A drill's containers come and go between two looks.
            with suppress(CommandError, KeyError):
                self.most = max(self.most, resident_mb(self._host)["moorage-backup"])

    def __enter__(self) -> Weights:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _beside(lab: Lab, host: Host) -> int:
    """Backups under load, each after a window without."""
    seconds = []
    with Load(lab, rate=RATE, sockets=0) as load, Weights(host) as weights:
        for number in range(1, ROUNDS + 1):
            load.mark(f"quiet {number}")
            time.sleep(QUIET_SECONDS)
            load.mark(f"backup {number}")
            begun = time.monotonic()
            host.exec("systemctl", "start", "moorage-backup.service", timeout=3600)
            seconds.append(time.monotonic() - begun)
            load.mark(f"drill {number}")
            while host.exec("systemctl", "show", "--value", "-p", "ActiveState", "moorage-drill.service").strip() in (
                "activating",
                "active",
            ):
                time.sleep(1)
        load.mark("after")
        report = load.report()
    print(f"\n| {RATE} requests a second | p50 ms | p95 ms | p99 ms | failed |\n|---|---|---|---|---|")
    p95 = {}
    for window in report.windows:
        p95[window.name] = window.p95
        if window.name not in ("before", "after"):
            print(f"| {window.name} | {window.p50:.1f} | {window.p95:.1f} | {window.p99:.1f} | {window.failed} |")
    ratios = {
        kind: statistics.median(p95[f"{kind} {n}"] / p95[f"quiet {n}"] for n in range(1, ROUNDS + 1))
        for kind in ("backup", "drill")
    }
    print(f"\np95 during a backup: {ratios['backup']:.2f} times that without ({ASKED_P95} asked);", end=" ")
    print(f"during a drill: {ratios['drill']:.2f} times. What backs up: {weights.most:.0f} MiB at most.")
    print(f"A backup took {', '.join(f'{one:.0f}' for one in seconds)} s.")
    numbers = (
        "grep -he _bytes /opt/moorage/metrics/backup.prom; grep -he seconds -e bytes /opt/moorage/metrics/drill.prom"
    )
    print(host.exec("sh", "-c", numbers), flush=True)
    return ratios["backup"] > ASKED_P95


def _lost(lab: Lab, host: Host, given: list[str]) -> int:
    """The host is gone at a moment that nobody chose, under writes; then it is rebuilt."""
    keys = {elsewhere.KEY: elsewhere.encryption_key(host), **elsewhere.keys(lab)}
    with Load(lab, rate=20, sockets=0) as load:
        load.mark("before the loss")
        time.sleep(LOG_SECONDS)
        lab.forget("vps")
        gone = time.time()
        load.mark("after the loss")
        time.sleep(1)
        report = load.report()
    bare = lab.host("vps", Shape())
    lab.write_facts()
    begun = time.monotonic()
    words = ("-e", "restore_target=vps", "-e", f"image_tag={TAG}")
    run = succeeded(ansible(lab, "rebuild", *given, *words, timeout=ASKED_RTO, **keys))
    rto = time.monotonic() - begun
    ledger = Ledger(bare)
    report = ledger.settle(report)
    last = float(ledger.sql("SELECT extract(epoch FROM max(at)) FROM practice_posts"))
    window = next(one for one in report.windows if one.name == "before the loss")
    print("\n| a lost host | measured | asked |\n|---|---|---|")
    print(f"| from a bare host to the product probed (RTO), s | {rto:.0f} | {ASKED_RTO} |")
    print(f"| age of the newest row that came back (RPO), s | {gone - last:.0f} | {ASKED_RPO} |")
    print(f"| acknowledged POSTs that came after it, of {window.posts[1] - window.posts[0]} | {window.lost} | |")
    print("\n".join(line for line in run.output.splitlines() if "minutes after" in line or "acknowledged" in line))
    return (rto > ASKED_RTO) + (gone - last > ASKED_RPO)
