"""What a test of a release looks at: who serves, what the host remembers of it, and whether anybody outside noticed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import yaml

from tests.lab.hosts import Host
from tests.lab.lab import MAIN_HOST, Lab
from tests.lab.network import DOMAIN
from tests.lab.playbook import Run, ansible, succeeded
from tests.load.load import Load
from tests.load.plan import API, APP, Ask

ROOT = "/opt/moorage"
LOCK = "/var/lib/moorage/lock.json"
# In turn, each with what only a right answer holds.
_GETS = (Ask("GET", API, "/api/v1/health/live", holds='"live"'), Ask("GET", APP, "/", holds="<html"))
_CONTAINER = '{{.Name}} {{.Id}} {{.State.StartedAt}} {{index .Config.Labels "com.docker.compose.oneoff"}}'


@contextmanager
def unnoticed(lab: Lab, site: Host | None = None, domain: str = DOMAIN) -> Iterator[Load]:
    """Somebody uses the API and the frontend while the block runs; an AssertionError where one request failed."""
    address = (site or lab.hosts[MAIN_HOST]).address
    asks = tuple(replace(ask, host=ask.host.replace(DOMAIN, domain)) for ask in _GETS)
    with Load(lab, address=address, rate=10, connections=6, sockets=0, fresh=3, asks=asks) as load:
        yield load
        report = load.report()
    print(report.table())
    assert report.faults() == [], report.table()
    assert report.total().answered == report.total().sent > 0


def release(site: Host) -> dict[str, Any]:
    """release.json: what the host believes that it serves."""
    return dict(json.loads(site.exec("cat", f"{ROOT}/release.json")))


def log(site: Host) -> list[dict[str, Any]]:
    """releases.jsonl: every attempt, the oldest first."""
    return [json.loads(line) for line in site.exec("cat", f"{ROOT}/releases.jsonl").splitlines()]


def containers(site: Host) -> dict[str, str]:
    """Every container of the stack, stopped ones and one-off jobs too: its name to its id and when it was started."""
    ids = site.exec("docker", "ps", "-aq", "--filter", "label=com.docker.compose.project=moorage").split()
    seen = site.exec("docker", "inspect", "--format", _CONTAINER, *ids).splitlines()
    return dict(line.lstrip("/").split(" ", 1) for line in seen)


def serving(site: Host) -> tuple[dict[str, str], str, str]:
    """All that a release that failed must leave as it was, to the byte."""
    caddy = f"{ROOT}/caddy/conf"
    folder = site.exec(f"cat {ROOT}/release.json {ROOT}/compose.yml {caddy}/Caddyfile.loaded {caddy}/slots/*")
    return containers(site), folder, site.exec("ls", f"{ROOT}/releases")


def leftovers(site: Host) -> list[str]:
    """What no finished run leaves behind: the lock, containers of no active slot, jobs, files half written."""
    # What is received of the database's log lies there as `*.partial`, all the time.
    files = f"find {ROOT} -path {ROOT}/backups -prune -o \\( -name '*.partial' -o -name '.*json-*' \\) -print"
    found = site.exec(f"ls {LOCK} 2>/dev/null; {files}", check=False).split()
    services = yaml.safe_load(site.exec("cat", f"{ROOT}/compose.yml"))["services"]
    names = {f"moorage-{service}" for service in services if not service.endswith(("-blue", "-green"))}
    for unit in release(site)["units"].values():
        slot = unit["active"]
        names |= {f"moorage-{service}-{slot}" for service in unit["definitions"][slot]["services"]}
    return found + sorted(set(containers(site)) ^ names)


def refused(lab: Lab, site: Host, playbook: str, *args: str, domain: str = DOMAIN) -> Run:
    """A release that must fail: nobody notices, all is as it was, and one line says why. Returns the run."""
    before, lines = serving(site), log(site)
    with unnoticed(lab, site, domain):
        run = ansible(lab, playbook, *args)
    assert run.code != 0, run.output
    assert serving(site) == before, run.output
    *earlier, last = log(site)
    assert earlier == lines
    assert last["verdict"] == "failed" and last["reason"]
    assert leftovers(site) == []
    return run


def settled(lab: Lab, site: Host) -> None:
    """A deploy has nothing to do, and nothing is left of the runs before."""
    run = succeeded(ansible(lab, "deploy"))
    assert run.changed == 0, run.changes or run.output
    assert leftovers(site) == []
