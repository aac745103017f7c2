"""Backups on a whole host: by timer and by playbook, proved, and brought back in the place of what lives."""

from __future__ import annotations

import json
import re

import pytest

from tests.lab import Host, Lab, elsewhere
from tests.lab.backups.stage import wait_for
from tests.lab.elsewhere import METRICS
from tests.lab.playbook import ansible, succeeded
from tests.lab.web import Client


def sql(site: Host, question: str, database: str = "moorage") -> str:
    words = ("docker", "exec", "moorage-postgres", "psql", "-U", "postgres", "-XAtq", "-d", database, "-c", question)
    return site.exec(*words).strip()


def says(site: Host, unit: str, name: str) -> str:
    return site.exec("systemctl", "show", "--value", "-p", name, unit).strip()


@pytest.fixture(scope="module")
def backed_up(site: Host) -> None:
    """What a night brings: the timer's unit, and the drill that follows it."""
    site.exec("systemctl", "start", "moorage-backup.service")
    wait_for(lambda: says(site, "moorage-drill.service", "ActiveState") == "inactive", 400)


def test_the_timers_wait(site: Host):
    for timer in ("moorage-backup.timer", "moorage-drill.timer"):
        assert says(site, timer, "ActiveState") == "active" and says(site, timer, "UnitFileState") == "enabled"
        assert says(site, timer, "NextElapseUSecRealtime")
    assert says(site, "moorage-files.path", "ActiveState") == "active"


def test_the_night_makes_a_backup_and_proves_it(site: Host, backed_up):
    for unit in ("moorage-backup.service", "moorage-drill.service"):
        assert says(site, unit, "Result") == "success", site.exec("journalctl", "-u", unit, "-n", "30", "--no-pager")
    kept = site.exec("cat", f"{METRICS}/backup.prom", f"{METRICS}/drill.prom", f"{METRICS}/wal.prom")
    assert 'moorage_backup_last_result{target="local"} 1\n' in kept
    assert 'moorage_restore_drill_last_result{target="local"} 1\n' in kept
    lost = float(re.search(r'moorage_restore_drill_lost_seconds\{target="local"\} (\S+)', kept).group(1))
    assert lost < 300, "the recovery point is 5 minutes at most"
    assert "docker" not in site.exec("docker", "ps", "-a", "--format", "{{.Names}}").replace("moorage-drill", "docker")


def test_what_backs_up_may_do_nothing_on_the_host(site: Host):
    facts = json.loads(site.exec("docker", "inspect", "moorage-backup"))[0]
    assert facts["Config"]["User"] == "999:999" and facts["HostConfig"]["CapDrop"] == ["ALL"]
    assert not facts["HostConfig"]["CapAdd"] and facts["HostConfig"]["ReadonlyRootfs"]
    assert "POSTGRES_PASSWORD" not in json.dumps(facts["Config"]["Env"])


def test_nothing_acknowledged_can_be_lost_by_a_crash_of_the_server(site: Host):
    assert [sql(site, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")] == ["on"] * 3


def test_a_database_is_restored_by_playbook_and_takes_the_live_ones_place(lab: Lab, site: Host, backed_up, web: Client):
    sql(site, "CREATE TABLE since_then (x int)")
    words = ("-e", "restore_what=database", "-e", "restore_target=moorage_then")
    live = ansible(lab, "restore", *words[:2], "-e", "restore_target=moorage")
    assert live.code == 2 and "nothing is restored over one" in live.words
    fingerprint = re.search(r"fingerprint (\d+-\d+)", live.words).group(1)
    other = ansible(lab, "restore", *words, "-e", f"restore_swap={fingerprint}1")
    assert other.code == 2 and "another server than you think" in other.words
    sql(site, "DROP DATABASE moorage_then", "postgres")
    run = succeeded(ansible(lab, "restore", *words, "-e", f"restore_swap={fingerprint}"))
    assert "The running version works with the tables of moorage_then." in run.words
    assert sql(site, "SELECT to_regclass('since_then') IS NULL") == "t"
    aside = sql(site, "SELECT datname FROM pg_database WHERE datname LIKE 'moorage_before_%'", "postgres")
    assert sql(site, "SELECT to_regclass('since_then') IS NOT NULL", aside) == "t"
    wait_for(lambda: web.api("/api/v1/health/ready").status == 200)
    sql(site, f"DROP DATABASE {aside}", "postgres")


def test_the_whole_server_goes_back_to_a_moment(lab: Lab, site: Host, backed_up, web: Client):
    sql(site, "CREATE TABLE before_the_mistake (x int)")
    moment = sql(site, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
    sql(site, "DROP TABLE before_the_mistake")
    elsewhere.wait_until_shipped(site, "local", 90)
    words = ("-e", "restore_what=everything", "-e", f"restore_time={moment}", "-e")
    assert ansible(lab, "restore", *words, "restore_target=elsewhere").code == 2
    succeeded(ansible(lab, "restore", *words, "restore_target=vps", "-e", "restore_swap=vps"))
    assert sql(site, "SELECT to_regclass('before_the_mistake') IS NOT NULL") == "t"
    wait_for(lambda: web.api("/api/v1/health/ready").status == 200)
    sql(site, "DROP TABLE before_the_mistake")
    (aside,) = site.exec("sh", "-c", "ls -d /opt/moorage/data/postgres.before-*").split()
    site.exec("rm", "-rf", aside)
    succeeded(ansible(lab, "verify_backup"))
