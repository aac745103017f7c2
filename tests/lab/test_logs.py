"""A request is followed by its id through Caddy, the API and PostgreSQL in the host's journal and where it is sent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.lab import Host, Lab
from tests.lab.playbook import ansible, succeeded
from tests.lab.practice_tables import psql
from tests.lab.web import Client
from webapp.auth.tokens import new_opaque

# It has the form of a key, so it is looked up; nobody has it.
NOBODYS = f"Bearer {new_opaque('mk', uuid4(), uuid4()).token.reveal()}"
WHOAMI = "https://api.moorage.test/api/v1/auth/whoami"
SECONDS = 20
RECEIVER = "http://127.0.0.1:19532"


@pytest.fixture
def every_statement_is_slow(site: Host) -> Iterator[None]:
    psql(site, "ALTER SYSTEM SET log_min_duration_statement = 0")
    psql(site, "SELECT pg_reload_conf()")
    yield
    psql(site, "ALTER SYSTEM RESET log_min_duration_statement")
    psql(site, "SELECT pg_reload_conf()")


def until(found: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not found():
        assert time.monotonic() < end
        time.sleep(0.5)


def entries(site: Host, word: str, *options: str) -> list[dict[str, Any]]:
    """The journal's entries that hold a word."""
    said = site.exec("journalctl", "-o", "json", "-g", word, *options, check=False)
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def ask(web: Client) -> str:
    """A request that looks something up in the database; its id."""
    asked = str(uuid4())
    answer = web.get(WHOAMI, Authorization=NOBODYS, X_Request_ID=asked)
    assert answer.status == 401 and answer.headers["x-request-id"] == asked
    return asked


@pytest.mark.usefixtures("every_statement_is_slow")
def test_one_request_is_found_in_caddy_api_and_postgresql(site: Host, web: Client):
    asked = ask(web)
    names = {"moorage-proxy", "moorage-api-blue", "moorage-api-green", "moorage-postgres"}

    def said_by() -> set[str]:
        return {entry["SYSLOG_IDENTIFIER"] for entry in entries(site, asked)} & names

    until(lambda: said_by() >= {"moorage-proxy", "moorage-postgres"} and len(said_by()) == 3)
    by_name = {entry["SYSLOG_IDENTIFIER"]: entry["MESSAGE"] for entry in entries(site, asked)}
    assert f"app=moorage {asked} LOG:  duration: " in by_name["moorage-postgres"]
    assert json.loads(by_name["moorage-proxy"])["request_id"] == asked


def test_an_id_that_caddy_made_reaches_the_api(site: Host, web: Client):
    asked = web.get(WHOAMI, Authorization=NOBODYS).headers["x-request-id"]
    until(lambda: len(entries(site, asked)) == 2)


def test_docker_logs_still_answers(site: Host, web: Client):
    asked = ask(web)
    until(lambda: asked in site.exec("sh", "-c", "docker logs --since 1m moorage-proxy 2>&1"))


def test_the_journal_has_its_limits(site: Host):
    told = site.exec("systemd-analyze", "cat-config", "systemd/journald.conf")
    assert "SystemMaxUse=1G" in told and "MaxRetentionSec=30day" in told
    assert "LogRateLimitBurst=10000" in site.exec("systemctl", "show", "docker", "-p", "LogRateLimitBurst")


@pytest.fixture
def receiver(site: Host) -> Iterator[str]:
    """A folder that another machine's journal would be: systemd's own receiver, on this host."""
    folder = "/var/log/journal/remote-of-a-test"
    site.exec("apt-get", "install", "-yq", "--no-install-recommends", "systemd-journal-remote")
    site.exec("install", "-d", "-o", "systemd-journal-remote", folder)
    command = ["/lib/systemd/systemd-journal-remote", "--listen-http=127.0.0.1:19532", f"--output={folder}"]
    site.exec("systemd-run", "--unit=receiver-of-a-test", "--uid=systemd-journal-remote", *command)
    yield folder
    site.exec("systemctl", "stop", "receiver-of-a-test")
    site.exec("systemctl", "disable", "--now", "systemd-journal-upload")
    site.exec("rm", "-r", folder, "/etc/systemd/journal-upload.conf.d")


def test_the_journal_is_sent_where_the_inventory_says(lab: Lab, site: Host, web: Client, receiver: str):
    given = ("-e", f"base_journal_upload_url={RECEIVER}")
    assert succeeded(ansible(lab, "provision", *given)).changed
    asked = ask(web)
    until(lambda: any(asked in entry["MESSAGE"] for entry in entries(site, asked, f"--directory={receiver}")))
