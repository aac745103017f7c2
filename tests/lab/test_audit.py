"""An audit of a host that is well finds nothing but what its inventory waives, and names each fault that is put in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lab import Host, Lab
from tests.lab.fullness import full
from tests.lab.network import FIRST_HOST
from tests.lab.playbook import Run, ansible, succeeded
from tests.lab.serving import ROOT

# The whole of 65,535 is a matter of a minute; the rule is the same for these.
PORTS = "22,80,443,2375,5432,9999"


@dataclass(frozen=True)
class Fault:
    """Something that lets somebody in: how it gets there, how it goes, and the words that name it."""

    make: str
    undo: str
    named: str


def sql(statement: str) -> str:
    return f'docker exec -u postgres moorage-postgres psql -qX -d moorage -c "{statement}"'


FAULTS = {
    "a readable secret": Fault(
        f"chmod 0644 {ROOT}/.env", f"chmod 0600 {ROOT}/.env", f"files: {ROOT}/.env has the mode 0644"
    ),
    "a table that is not bound": Fault(
        sql("ALTER TABLE agents NO FORCE ROW LEVEL SECURITY"),
        sql("ALTER TABLE agents FORCE ROW LEVEL SECURITY"),
        "rows: row level security of the table agents is not forced",
    ),
    "a role that owns": Fault(
        sql("CREATE TABLE stray (); ALTER TABLE stray OWNER TO moorage_app"),
        sql("DROP TABLE stray"),
        "role: the application's role moorage_app owns 1 relation(s)",
    ),
    "an open port": Fault(
        "ufw allow 9999/tcp; systemd-run -q --unit stray python3 -m http.server 9999",
        "systemctl stop stray; ufw delete allow 9999/tcp",
        "ports: port 9999/tcp is open and nobody declared it",
    ),
    "a talkative header": Fault(
        f"sed -i 's/-Server/Server Caddy/' {ROOT}/caddy/conf/Caddyfile; "
        "docker exec moorage-proxy caddy reload --config /etc/caddy/Caddyfile",
        "true",
        "headers: https://api.moorage.test/: the header server tells what answers",
    ),
}


def audit(lab: Lab, *args: str) -> Run:
    """From outside: at the host's own address on the lab's bridge, where every port of it answers."""
    where = {"audit_scan_address": lab.plan.bridge(FIRST_HOST), "audit_ports": PORTS}
    return ansible(lab, "audit", "-e", json.dumps(where), *args)


def findings(site: Host) -> list[str]:
    report = json.loads(site.exec("cat", f"{ROOT}/audit.json"))
    return [f"{one['check']}: {one['what']}" for one in report["open"]]


@pytest.fixture(scope="module")
def patched(site: Host) -> None:
    """A lab host is as old as its image, and has not seen a night."""
    site.upgrade()
    site.exec("moorage-backup", "run")


@pytest.fixture
def faulty(lab: Lab, site: Host) -> Iterator[None]:
    try:
        for fault in FAULTS.values():
            site.exec("sh", "-c", fault.make)
        yield
    finally:
        for fault in FAULTS.values():
            site.exec("sh", "-c", fault.undo, check=False)
        succeeded(ansible(lab, "site"))


@full
def test_each_fault_is_named_and_nothing_else(lab: Lab, site: Host, patched: None, faulty: None) -> None:
    run = audit(lab)
    found = findings(site)
    assert run.code != 0 and f"{len(found)} finding(s)" in run.words
    named = {name: [line for line in found if line.startswith(fault.named)] for name, fault in FAULTS.items()}
    assert [name for name, lines in named.items() if not lines] == [], found
    # The header is every site's, and the table that the role owns is not bound either.
    known = ("headers: ", "rows: row level security of the table stray")
    others = [line for line in found if not any(line in lines for lines in named.values())]
    assert [line for line in others if not line.startswith(known)] == []


@full
def test_a_host_that_is_well_has_none_that_is_not_waived(lab: Lab, site: Host, patched: None) -> None:
    run = succeeded(audit(lab))
    assert findings(site) == [] and "waived until" in run.words
    assert "moorage_audit_findings 0\n" in site.exec("cat", f"{ROOT}/metrics/audit.prom")


@full
def test_without_its_waivers_a_scan_that_had_no_data_fails(lab: Lab, site: Host) -> None:
    run = audit(lab, "-e", '{"audit_waivers": []}')
    assert run.code != 0
    assert any("was not compared with known holes, as there was no data" in line for line in findings(site))
