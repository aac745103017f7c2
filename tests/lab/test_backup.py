"""Dumps on a whole host: by playbook, twice, and back into a database of the same server."""

from __future__ import annotations

import json

import pytest

from tests.lab import Host, Lab
from tests.lab.playbook import Run, ansible, succeeded
from tests.lab.serving import release

FOLDER = "/opt/moorage/backups"
COUNTS = """
SELECT string_agg(format('%s=%s', table_name,
    (xpath('//n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I', table_name), true, true, '')))[1]),
    ' ' ORDER BY table_name)
FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
"""


@pytest.fixture(scope="module")
def twice(lab: Lab, site: Host) -> tuple[Run, Run]:
    # The worker's rounds leave their jobs in the database every few seconds, a change as good as any.
    worker = f"moorage-worker-{release(site)['units']['controlplane']['active']}"
    site.exec("docker", "pause", worker)
    try:
        return succeeded(ansible(lab, "backup")), succeeded(ansible(lab, "backup"))
    finally:
        site.exec("docker", "unpause", worker)


def sql(site: Host, database: str, question: str) -> str:
    words = ("docker", "exec", "moorage-postgres", "psql", "-U", "postgres", "-XAtq", "-d", database, "-c", question)
    return site.exec(*words).strip()


def test_the_second_dump_changes_nothing_and_says_so(site: Host, twice):
    first, second = twice
    assert first.changed == 1 and "moorage: dumped to moorage-" in first.output
    assert second.changed == 0 and "moorage: nothing changed since moorage-" in second.output
    names = site.exec("ls", FOLDER).split()
    assert [name.rpartition(".")[2] for name in names] == ["json", "gz"]
    assert site.exec("stat", "-c", "%a %U", *(f"{FOLDER}/{name}" for name in names)).split() == ["600", "root"] * 2


def test_the_dump_is_what_the_database_was(site: Host, twice):
    (manifest,) = (path for path in site.exec("ls", FOLDER).split() if path.endswith(".json"))
    seal = json.loads(site.exec("cat", f"{FOLDER}/{manifest}"))
    assert seal["database"] == "moorage" and seal["why"] == "by-hand"
    assert seal["revision"] == sql(site, "moorage", "SELECT version_num FROM alembic_version")
    sql(site, "postgres", "CREATE DATABASE restored")
    try:
        restore = (
            f"zcat {FOLDER}/{seal['file']} | docker exec -i moorage-postgres psql -U postgres -X -v ON_ERROR_STOP=1"
        )
        site.exec("bash", "-o", "pipefail", "-c", f"{restore} -q -d restored")
        was, now = sql(site, "restored", COUNTS), sql(site, "moorage", COUNTS)
        assert "alembic_version=1" in was and "procrastinate_jobs=" in was
        settled = [pair for pair in now.split() if not pair.startswith("procrastinate_")]
        assert [pair for pair in was.split() if not pair.startswith("procrastinate_")] == settled
    finally:
        sql(site, "postgres", "DROP DATABASE restored")


def test_a_plan_reads_and_writes_nothing(lab: Lab, site: Host, twice):
    before = site.exec("ls", FOLDER)
    succeeded(ansible(lab, "backup", "--check"))
    assert site.exec("ls", FOLDER) == before
