"""A release that changes the tables: dumped before, fit for both versions, and no way to code that they do not fit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import Host, Lab, practice_tables
from tests.lab.fullness import full
from tests.lab.playbook import ansible, succeeded
from tests.lab.practice_tables import CONTRACT, EXPAND, STUCK, at, psql
from tests.lab.serving import log, refused, release, settled, unnoticed
from tests.lab.web import Client


def deployed(lab: Lab, tag: str) -> None:
    """A deploy of a tag that succeeded."""
    succeeded(ansible(lab, "deploy", "-e", f"image_tag={tag}"))


@pytest.fixture(scope="module")
def tables(lab: Lab, site: Host) -> Iterator[str]:
    """The revision that the product's own tables are at; sha-two serves."""
    lab.push("sha-two")
    deployed(lab, "sha-two")
    with practice_tables.put_back(site) as revision:
        practice_tables.push(lab, "sha-two", revision)
        yield revision
    deployed(lab, "sha-two")


def backups(site: Host) -> dict[str, dict[str, Any]]:
    """The sealed dumps: name to manifest, each one's hash compared with its file."""
    found = {}
    for path in site.exec("ls /opt/moorage/backups/*-before-*.json 2>/dev/null", check=False).split():
        found[path] = json.loads(site.exec("cat", path))
        dump = path.removesuffix(".json") + ".sql.gz"
        assert found[path]["sha256"] == site.exec("sha256sum", dump).split()[0]
    return found


@full
def test_a_migration_that_cannot_have_its_lock_leaves_the_version_before_serving(lab: Lab, site: Host, tables: str):
    hold = "BEGIN; LOCK TABLE tenants IN SHARE MODE; SELECT pg_sleep(300)"
    holder = ["docker", "exec", "-d", "-e", "PGAPPNAME=practice", "moorage-postgres", "psql", "-U", "postgres"]
    site.exec(*holder, "-d", "moorage", "-c", hold)
    try:
        run = refused(lab, site, "deploy", "-e", f"image_tag={STUCK}")
    finally:
        psql(site, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'practice'")
    assert "Waited 5s for a lock" in run.words and "tenants by practice" in run.words
    assert "Waited 5s for a lock" in log(site)[-1]["reason"]
    assert at(site) == tables


@full
def test_a_contraction_that_the_serving_code_would_not_survive_is_refused_before_anything_runs(
    lab: Lab, site: Host, tables: str
):
    run = refused(lab, site, "deploy", "-e", f"image_tag={CONTRACT}")
    assert f"take away what the version that serves (code at {tables}) needs" in run.words
    assert "Deploy a version in between first" in run.words
    assert at(site) == tables


def test_an_expansion_is_dumped_before_and_the_version_before_goes_on_after_it(
    lab: Lab, site: Host, web: Client, tables: str
):
    # One that says the same as the newest would not be kept.
    site.exec("rm -f /opt/moorage/backups/*-before-*")
    with unnoticed(lab):
        deployed(lab, EXPAND)
    new = list(backups(site))
    assert len(new) == 1 and f"-before-{EXPAND}" in new[0]
    assert psql(site, "SELECT to_regclass('practice_ways')") == "practice_ways"
    assert log(site)[-1]["rollback"] == {"to": log(site)[-1]["from"]["number"], "tag": "sha-two", "allowed": True}
    with unnoticed(lab):
        succeeded(ansible(lab, "rollback"))
    ready = web.until("/api/v1/health/ready", lambda answer: answer.status == 200)
    assert json.loads(ready.body)["data"]["ready"] is True
    assert at(site) == "9003"
    settled(lab, site)


@full
def test_a_contraction_in_two_steps_goes_out_and_closes_the_way_to_what_was_before_them(
    lab: Lab, site: Host, web: Client, tables: str
):
    succeeded(ansible(lab, "rollback", "-e", f"image_tag={EXPAND}"))
    deployed(lab, CONTRACT)
    run = refused(lab, site, "rollback", "-e", "image_tag=sha-two")
    assert f"The database's tables are at 9004, and code at {tables} does not work with them" in run.words
    assert f"code at {tables} does not work with them" in log(site)[-1]["reason"]
    succeeded(ansible(lab, "rollback"))
    assert release(site)["entry"]["tag"] == EXPAND
    assert web.api("/api/v1/health/ready").status == 200
