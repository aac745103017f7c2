"""The bucket does not answer for ten minutes, while people write: somebody is told, and nothing is lost."""

from __future__ import annotations

import json
import time

from tests.drills.conftest import Production
from tests.lab import Host, Lab, elsewhere
from tests.lab.alert_ears import asked
from tests.lab.elsewhere import METRICS
from tests.lab.test_backup import sql

SECONDS = 600


def firing(site: Host) -> set[str]:
    """Which targets' archive lags, as Prometheus has it."""
    found = asked(site, "query?query=ALERTS{alertname=%22ArchiveLag%22,alertstate=%22firing%22}")["result"]
    return {series["metric"]["target"] for series in found}


def test_ten_minutes_without_the_bucket(production: Production, lab: Lab, site: Host) -> None:
    elsewhere.wait_until_shipped(site, "bucket", 300)
    sql(site, "CREATE TABLE kept (n bigint, at timestamptz NOT NULL DEFAULT clock_timestamp())")
    bucket = lab.plan.container("bucket")
    away = time.monotonic()
    lab.engine.run("pause", bucket)
    acknowledged = 0
    try:
        while time.monotonic() - away < SECONDS:
            sql(site, f"INSERT INTO kept SELECT {acknowledged} + n FROM generate_series(1, 500) n")
            acknowledged += 500
            time.sleep(2)
        assert firing(site) == {"bucket"}, "the local target goes on by itself"
    finally:
        lab.engine.run("unpause", bucket)
    moment = site.exec("date", "-u", "+%Y-%m-%dT%H:%M:%S.%3NZ").strip()
    elsewhere.wait_until_shipped(site, "bucket", 300)
    drilled = json.loads(site.exec("moorage-backup", "drill", "--target", "bucket", timeout=600))
    assert drilled["lost_seconds"] < 300
    assert 'moorage_restore_drill_last_result{target="bucket"} 1\n' in site.exec("cat", f"{METRICS}/drill.prom")
    words = ("restore-database", "--database", "moorage", "--into", "kept_then", "--target", "bucket", "--time", moment)
    restored = site.exec("moorage-backup", *words, timeout=600)
    assert json.loads(restored)["database"] == "kept_then"
    assert sql(site, "SELECT count(*) FROM kept", "kept_then") == str(acknowledged)
    sql(site, "DROP DATABASE kept_then", "postgres")
    sql(site, "DROP TABLE kept")
