"""Every disaster that the manual has a page for: brought about, then mended with the page's own commands.

What was typed and shown is kept in docs/evidence. The last one loses the host.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from tests.drills.conftest import Production
from tests.lab import Host, Lab, Shape, elsewhere
from tests.lab.backups.stage import wait_for
from tests.lab.interruption import cut_off
from tests.lab.network import SERVICES
from tests.lab.playbook import TRANSCRIPT
from tests.lab.recipes import FOLDER
from tests.lab.serving import LOCK, release
from tests.lab.test_backup import sql
from tests.lab.web import Client

DATA = "/opt/moorage/data"
# As the pages have them.
MOMENT, TOKEN, VERSION = "2026-11-28T05:00:00Z", "5a6b7c8d", "sha-two"


def ready(web: Client, seconds: float = 120) -> None:
    web.until("/api/v1/health/ready", lambda answer: answer.status == 200, seconds=seconds)


def test_drift_found(production: Production, site: Host, web: Client) -> None:
    for made in ("ufw allow 8080/tcp", "systemctl stop fail2ban", "chmod 0666 /opt/moorage/compose.yml"):
        site.exec("sh", "-c", made)
    site.exec("useradd", "-m", "-s", "/bin/bash", "mallory")
    runbook = production.runbook("drift-found")
    runbook.follow()
    runbook.keep()
    ready(web)


def test_deploy_wedged(production: Production, lab: Lab, site: Host, web: Client) -> None:
    lab.push(VERSION)
    cut_off(lab, "deploy", *production.words, "-e", f"image_tag={VERSION}", at="Switch", GITHUB_ACTOR="bea")
    # As if that machine were another one: nobody can know from here whether the run lives.
    held = json.loads(site.exec("cat", LOCK)) | {"from": "runner-7", "controller": "runner-7 another-boot", "by": "ann"}
    site.exec("tee", LOCK, given=json.dumps(held))
    runbook = production.runbook("deploy-wedged")
    serves, holder = runbook.follow(0, 1), runbook.follow(1, 2)
    assert "Everything answers" in serves
    token = re.search(r'"token": "(\w+)"', holder)
    assert token
    runbook.says[TOKEN] = token[1]
    runbook.follow(2)
    runbook.keep()
    assert (
        release(site)["entry"]["tag"] == VERSION and site.exec("sh", "-c", f"ls {LOCK} || echo none").strip() == "none"
    )
    ready(web)


def test_ci_stuck(production: Production, lab: Lab, site: Host, web: Client) -> None:
    before = release(site)["entry"]["tag"]
    lab.push("sha-three")
    runbook = production.runbook("ci-stuck", **{VERSION: "sha-three"})
    runbook.follow(0, 2)
    assert release(site)["entry"]["tag"] == "sha-three"
    runbook.follow(2)
    runbook.keep()
    assert release(site)["entry"]["tag"] == before
    ready(web)


def test_data_corrupted(production: Production, site: Host, web: Client) -> None:
    sql(
        site,
        "CREATE TABLE orders (id bigint PRIMARY KEY, amount numeric(12, 2) NOT NULL);"
        " ALTER TABLE orders OWNER TO moorage_owner;"
        " INSERT INTO orders SELECT n, n / 10.0 + 0.05 FROM generate_series(1, 5000) n",
    )
    moment = sql(site, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
    time.sleep(2)
    sql(site, "DELETE FROM orders WHERE id % 5 = 0; UPDATE orders SET amount = 0 WHERE id <= 12")
    # What people went on to do.
    sql(
        site,
        "INSERT INTO orders SELECT n, 1 FROM generate_series(5001, 5011) n; UPDATE orders SET amount = 7 WHERE id = 21",
    )
    elsewhere.wait_until_shipped(site, "bucket", 300)
    runbook = production.runbook("data-corrupted", **{MOMENT: moment})
    runbook.follow()
    runbook.keep()
    assert sql(site, "SELECT count(*), count(*) FILTER (WHERE id > 5000) FROM orders") == "5011|11"
    wrong = "SELECT string_agg(id::text, ',') FROM orders WHERE id <= 5000 AND amount <> id / 10.0 + 0.05"
    assert sql(site, wrong) == "21", "what was changed since stays"
    sql(site, "DROP TABLE orders")
    ready(web)


@pytest.fixture
def small_disk(production: Production, site: Host) -> None:
    """The data on a disk of its own, with little room. Stays so until the host is lost."""
    size = int(site.exec("du", "-sm", DATA).split()[0]) + 250
    script = f"""
        set -e
        ids=$(docker ps -q --filter label=com.docker.compose.project=moorage)
        docker stop -t 20 $ids
        mv {DATA} {DATA}.was && mkdir {DATA} && mount -t tmpfs -o size={size}m,mode=0755 tmpfs {DATA}
        chown --reference={DATA}.was {DATA} && chmod --reference={DATA}.was {DATA}
        cp -a {DATA}.was/. {DATA}/ && rm -rf {DATA}.was
        docker start $ids
    """
    site.exec("sh", "-c", script, timeout=600)


def test_disk_full(production: Production, site: Host, web: Client, small_disk: None) -> None:
    ready(web)
    aside = f"{DATA}/postgres.before-20261101T020000Z"
    room = 60 * 2**20
    fill = f"head -c $(( $(df --output=avail -B1 {DATA} | tail -n 1) - {room} )) /dev/urandom"
    site.exec("sh", "-c", f"mkdir {aside} && {fill} > {aside}/base")
    sql(site, "CREATE TABLE filler (x text)")
    row = "INSERT INTO filler SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 30000)"
    insert = f'docker exec moorage-postgres psql -U postgres -d moorage -Xqc "{row}" >/dev/null 2>&1; echo $?'
    acknowledged = 0
    while acknowledged < 200 and site.exec("sh", "-c", insert).strip() == "0":
        acknowledged += 1
    assert acknowledged < 200, "the disk never was full"
    runbook = production.runbook("disk-full")
    runbook.follow()
    runbook.keep(f"Rows that were acknowledged before the disk was full: {acknowledged}; all of them are there.")
    assert sql(site, "SELECT count(*) FROM filler") == str(acknowledged)
    sql(site, "DROP TABLE filler")
    ready(web)


def authority(lab: Lab, folder: Path, lifetime: str) -> None:
    """Have the lab's authority give certificates for so long from now on; as long as usual where it is empty."""
    text = (FOLDER / "authority/Caddyfile").read_text()
    if lifetime:
        text = text.replace("acme_server\n", f"acme_server {{\n\t\tlifetime {lifetime}\n\t}}\n")
    (folder / "Caddyfile").write_text(text)
    name = lab.plan.container("authority")
    lab.engine.run("cp", str(folder / "Caddyfile"), f"{name}:/etc/caddy/Caddyfile")
    lab.engine.run("restart", "-t", "2", name)
    where = f"acme.moorage.test:443:{lab.plan.bridge(SERVICES['authority'])}"
    ask = ("curl", "-ksf", "-o", "/dev/null", "--resolve", where, "https://acme.moorage.test/acme/local/directory")
    wait_for(lambda: lab.engine.attempt("exec", lab.hosts["vps"].container, *ask).returncode == 0, 60)


def test_certificate_expired(production: Production, lab: Lab, site: Host, web: Client, tmp_path: Path) -> None:
    name = lab.plan.container("authority")

    def left(seconds: int) -> bool:
        """Whether what is served is good for longer than that."""
        look = "openssl s_client -connect 127.0.0.1:443 -servername api.moorage.test </dev/null 2>/dev/null"
        return "will not" in site.exec("sh", "-c", f"{look} | openssl x509 -noout -checkend {seconds}", check=False)

    authority(lab, tmp_path, "5m")
    kept = "find /opt/moorage -type d -path '*caddy/certificates' -prune -exec rm -rf {} +"
    site.exec("sh", "-c", f"docker stop moorage-proxy && {kept} && docker start moorage-proxy")
    wait_for(lambda: left(1) and not left(310), 60)
    lab.engine.run("stop", "-t", "2", name)
    wait_for(lambda: not left(0), 400)
    runbook = production.runbook("certificate-expired")
    runbook.follow(0, 2)
    authority(lab, tmp_path, "")
    runbook.follow(2)
    runbook.keep()
    ready(web)


def test_leaked_key(production: Production, site: Host, web: Client) -> None:
    runbook = production.runbook("leaked-key", **{"sha-one": release(site)["entry"]["tag"]})
    runbook.follow()
    runbook.keep()
    ready(web)


def test_host_lost(production: Production, lab: Lab, site: Host) -> None:
    sql(site, "CREATE TABLE after_the_backup AS SELECT generate_series(1, 1000) AS n")
    elsewhere.wait_until_shipped(site, "bucket", 300)
    key = elsewhere.encryption_key(site)
    lab.forget("vps")
    bare = lab.host("vps", Shape())
    lab.write_facts()
    runbook = production.runbook("host-lost", HOST="vps")
    runbook.follow(given=" ".join([key, *elsewhere.keys(lab).values()]) + "\n")
    assert not any(key in printed for printed in TRANSCRIPT)
    runbook.keep()
    assert sql(bare, "SELECT count(*) FROM after_the_backup") == "1000"
    ready(Client(bare.address, lab.root_certificate))
    production.converge("verify_backup")
