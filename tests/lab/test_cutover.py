"""A cutover by playbook while records are read and written: switched and reverted, and nobody loses a write.

2,000 records, or with `--lab=full` 100,000, whose report is kept in docs/evidence; then DATA_BACKEND is deployed after
each step, too, which takes longer than all the rest.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.bench.cutover import write_export
from tests.lab import Host, Lab
from tests.lab.backups.stage import wait_for
from tests.lab.fullness import full
from tests.lab.playbook import TRANSCRIPT, Run, ansible, succeeded
from tests.lab.serving import ROOT, leftovers, log, refused, release
from tests.lab.traffic import Api, Traffic
from tests.load.ledger import Ledger
from tests.rehearsing import let_sign, new_key
from tests.rendering import load

REPOSITORY = Path(__file__).parents[2]
EVIDENCE = REPOSITORY / "docs/evidence/cutover.md"
# As `write_export` names its first record.
KNOWN = "-N" + "0" * 18
SHADOW_READS = 50
PROVED = ("switch", "revert")
# What the issue allows 100,000 records with 1,000 changed.
FROZEN_SECONDS = 60.0
_ANEW = """
TRUNCATE cutover_events, cutover_runs, records, record_changes, cutover_checkpoints, record_shadow_reads,
    record_shadow_differences;
UPDATE record_gate SET leader = NULL, next_leader = NULL, frozen_until = NULL, rehearsing = NULL, shadowing = false,
    tracking = false, retired = false;
"""


@contextmanager
def realtime_database(address: str, secret: str, export: Path) -> Iterator[str]:
    """A Realtime Database on this machine, a process of its own; where hosts of the lab reach it."""
    command = [sys.executable, "-m", "tests.rtdb", "--host", address, "--port", "0", "--file", str(export)]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env={**os.environ, "RTDB_SECRET": secret}, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield f"http://{address}:{server.stdout.readline().strip().rpartition(':')[2]}"
        finally:
            server.terminate()


def api_container(site: Host) -> str:
    return f"moorage-api-{release(site)['units']['controlplane']['active']}"


@dataclass
class Cut:
    """The lab while its records are in a Realtime Database, and everything that happened to them."""

    lab: Lab
    site: Host
    given: dict[str, Any]
    records: int
    api: Api
    traffic: Traffic
    runs: dict[str, Run] = field(default_factory=dict)
    frozen: dict[str, float] = field(default_factory=dict)

    def deploy(self, backend: str) -> Run:
        given = {**self.given, "controlplane_data_backend": backend}
        return succeeded(ansible(self.lab, "deploy", "-e", json.dumps(given)))

    def takes(self, step: str, **further: Any) -> Run:
        given = {**self.given, "cutover_step": step, "cutover_host": "vps", **further}
        self.runs[step] = succeeded(ansible(self.lab, "cutover", "-e", json.dumps(given), timeout=3600))
        self.frozen[step] = self.traffic.frozen_seconds
        return self.runs[step]

    def left(self, step: str, name: str) -> str:
        """What the last such step left, of its folder: `output.txt`, `parity.md`, …"""
        last = max((self.lab.folder / "cutover/vps").glob(f"*-{step}"))
        return (last / name).read_text()

    def told(self) -> str:
        """The figures, as a table."""
        traffic = self.traffic
        rows = [f"| {step} | {seconds:.1f} |" for step, seconds in self.frozen.items() if seconds]
        return "\n".join([
            f"{self.records:,} records; {traffic.writes:,} writes and {traffic.reads:,} reads meanwhile, each over a",
            f"connection of its own; {len(traffic.trouble)} had no right answer.\n",
            "| step | seconds between the first and the last refused write |\n|---|--:|", *rows,
        ])  # fmt: skip

    def evidence(self) -> str:
        """The figures, what each step said, and both parity reports."""
        parts = ["# A cutover, rehearsed\n", "Written by `make test-lab`, of its last run.\n", self.told()]
        for step in self.runs:
            parts.append(f"\n## {step}\n\n```\n{self.left(step, 'output.txt').strip()}\n```")
            if step in PROVED:
                parts.append("\n" + self.left(step, "parity.md").strip().replace("# ", "### "))
        return "\n".join(parts) + "\n"

    @property
    def leader(self) -> str:
        return Ledger(self.site).sql("SELECT leader FROM record_gate").strip()


@pytest.fixture(scope="module")
def begun(
    lab: Lab, site: Host, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cut]:
    """Everything but the cutover: a tenant whose records are in a Realtime Database, and who uses them."""
    folder, secret = tmp_path_factory.mktemp("rtdb"), secrets.token_hex(16)
    records = 100_000 if request.config.getoption("--lab") == "full" else 2_000
    moorage = f"docker exec -i {api_container(site)} moorage"
    tenant = json.loads(site.exec("sh", "-c", f"{moorage} tenant create Cutover --json"))["id"]
    scopes = "--scope records:read --scope records:write"
    made = site.exec("sh", "-c", f"{moorage} key create --tenant {tenant} --name traffic {scopes} --json")
    write_export(folder / "export.json", tenant, records)
    key = new_key(folder, "ci")
    let_sign(folder / "allowed_signers", key)
    # The lab's first release has said that PostgreSQL leads; no record was ever written here.
    Ledger(site).sql(_ANEW)
    api = Api(site.address, lab.root_certificate, json.loads(made)["token"])
    with realtime_database(lab.plan.gateway, secret, folder / "export.json") as url:
        succeeded(ansible(lab, "set_secret", "-e", "name=RTDB_SECRET", SECRET_VALUE=secret))
        given = {
            "controlplane_rtdb_url": url, "controlplane_rtdb_root": "/", "cutover_is_rehearsal": True,
            # Two slots' worth of people who ask without a pause, with one key.
            "controlplane_environment": {"RATE_LIMIT_TOKEN": "0", "RATE_LIMIT_TENANT": "0"},
            "cutover_records": str(folder / "rehearsals"), "cutover_allowed_signers": str(folder / "allowed_signers"),
            "cutover_signing_key": str(key), "cutover_fetch": str(lab.folder / "cutover"),
        }  # fmt: skip
        cut = Cut(lab, site, given, records, api, Traffic(api, KNOWN))
        try:
            cut.deploy("rtdb")
            yield cut
        finally:
            site.exec("sed", "-i", "/^RTDB_SECRET=/d", f"{ROOT}/.env")
            Ledger(site).sql(_ANEW)
            succeeded(ansible(lab, "deploy"))
    assert secret not in "".join(TRANSCRIPT)


@pytest.fixture(scope="module")
def cut(begun: Cut, request: pytest.FixtureRequest) -> Cut:
    """All the way there, and all the way back."""
    everything = request.config.getoption("--lab") == "full"
    with begun.traffic as traffic:
        begun.takes("plan")
        begun.takes("begin")
        begun.takes("shadow")
        enough = traffic.reads + 2 * SHADOW_READS
        wait_for(lambda: traffic.reads >= enough, 120)
        begun.takes("switch", cutover_shadow_reads=SHADOW_READS)
        assert begun.leader == "supabase"
        if everything:
            begun.deploy("supabase")
        begun.takes("revert")
        assert begun.leader == "rtdb"
        if everything:
            begun.deploy("rtdb")
    print(f"\n{begun.told()}")
    if everything:
        EVIDENCE.write_text(begun.evidence())
    return begun


@full
def test_nobody_flips_the_store_behind_a_cutovers_back(begun: Cut) -> None:
    given = {**begun.given, "controlplane_data_backend": "supabase"}
    run = refused(begun.lab, begun.site, "deploy", "-e", json.dumps(given))
    assert "STORE_DISAGREES: DATA_BACKEND is supabase, and records are led by rtdb." in run.words
    assert begun.leader == "rtdb"


def test_reads_were_served_throughout_and_writes_but_for_the_freezes(cut: Cut) -> None:
    assert cut.traffic.trouble == []
    assert cut.traffic.reads > 100 and cut.traffic.writes > 100


def test_no_acknowledged_write_is_lost(cut: Cut) -> None:
    assert cut.traffic.lost(cut.api) == []


@pytest.mark.parametrize("step", ["switch", "revert"])
def test_writes_were_frozen_for_less_than_a_minute(cut: Cut, step: str) -> None:
    (said,) = re.findall(r"writes were frozen for ([\d.]+) s", cut.runs[step].output)
    assert float(said) < FROZEN_SECONDS and cut.frozen[step] < FROZEN_SECONDS


def test_each_step_left_its_report_on_both_sides_and_its_line(cut: Cut) -> None:
    steps = [line["step"] for line in log(cut.site) if line["kind"] == "cutover"]
    assert steps[-4:] == ["begin", "shadow", "switch", "revert"]
    here = {path.name.partition("-")[2] for path in (cut.lab.folder / "cutover/vps").iterdir()}
    for step in PROVED:
        assert cut.left(step, "parity.md").startswith("# Parity: GO\n")
    there = {name.partition("-")[2] for name in cut.site.exec("ls", f"{ROOT}/cutover").split()}
    assert {"plan", "begin", "shadow", "switch", "revert"} <= there <= here
    assert leftovers(cut.site) == []


def test_the_runs_say_what_to_commit(cut: Cut) -> None:
    # The lab's inventory leaves the store to its default.
    where = "inventories/lab/group_vars/moorage/controlplane.yml (no line yet)"
    assert "supabase leads, as" in cut.runs["switch"].words and "nothing to commit" in cut.runs["switch"].words
    assert "+controlplane_data_backend: rtdb" in cut.runs["revert"].words and where in cut.runs["revert"].words


@full
def test_the_rehearsal_allows_this_image_elsewhere_and_no_other(cut: Cut) -> None:
    rehearsals = load("module_utils", "rehearsals")
    unit = release(cut.site)["units"]["controlplane"]
    image = unit["images"][unit["active"]]
    folder, signers = Path(cut.given["cutover_records"]), Path(cut.given["cutover_allowed_signers"])
    assert rehearsals.allowing(folder, signers, image, days=1)["inventory"] == "lab"
    elsewhere = {**cut.given, "cutover_step": "switch", "cutover_host": "vps", "cutover_is_rehearsal": False}
    allowed = ansible(cut.lab, "cutover", "--check", "-e", json.dumps(elsewhere))
    assert "Would run: moorage cutover switch" in succeeded(allowed).words
    with pytest.raises(rehearsals.NoRecord, match="another version"):
        rehearsals.allowing(folder, signers, f"x@sha256:{'0' * 64}", days=1)
