"""What people and accidents did to a host is named, thing by thing; of a host that is as declared, nothing is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.lab import Host, Lab, drifts
from tests.lab.drifts import Drift
from tests.lab.fullness import full
from tests.lab.playbook import Run, ansible, succeeded
from tests.lab.serving import ROOT

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1hbGxvcnlNYWxsb3J5TWFsbG9yeU1hbGxvcnlNYWxsb3I mallory"
_FRONTEND = "$(docker ps --format '{{.Names}}' | grep ^moorage-frontend-)"
_OTHER = "$(docker inspect -f '{{.Config.Image}}' moorage-postgres)"
# What site.yml does not put right, as nobody declared what should be there; and what it does, beside drifts.DRIFTS.
STRANGE = (
    Drift("a user", "useradd -m -s /bin/bash mallory", "! id mallory"),
    Drift("a listening port", "systemd-run -q -u mallory python3 -m http.server 9999", "! ss -Hltn | grep -q :9999"),
    Drift("a right", "echo 'mallory ALL=(ALL) ALL' > /etc/sudoers.d/mallory", "! test -e /etc/sudoers.d/mallory"),
)
FURTHER = (
    Drift("a package", "dpkg --remove --force-depends tzdata", "dpkg -s tzdata"),
    Drift(
        "somebody's key",
        f"echo '{KEY}' >> /home/deploy/.ssh/authorized_keys",
        "! grep -q mallory /home/deploy/.ssh/authorized_keys",
    ),
    Drift(
        "another image",
        # As somebody does who tries another version by hand, past compose.yml.
        f"cd {ROOT}; name={_FRONTEND}; service=${{name#moorage-}}; printf 'services: {{%s: {{image: %s, entrypoint: "
        f"[sleep, \"1000\"]}}}}' $service {_OTHER} > /tmp/by-hand.yml && "
        "docker compose -f compose.yml -f /tmp/by-hand.yml up -d --no-deps $service",
        f"docker inspect -f '{{{{.Config.Image}}}}' {_FRONTEND} | grep -q moorage/frontend",
    ),
)
UNDO = "userdel -r mallory; systemctl stop mallory; rm /etc/sudoers.d/mallory"
# The words of the report that name each drift.
NAMED = {
    "a file's mode": r"file /opt/moorage/compose\.yml: .*mode",
    "a file's content": r"file /opt/moorage/caddy/conf/Caddyfile: .*content",
    "a file's owner": r"file /opt/moorage/postgres/pg_hba\.conf: .*owner",
    "a missing file": r"file /etc/ssh/sshd_config\.d/\S+: create",
    "an open .env": r"Ensure the host's secrets exist",
    "a stopped unit": r"unit fail2ban\.service: start",
    "a disabled unit": r"unit chrony\.service: enable",
    "a stopped container": r"start worker-\w+: is exited",
    "an opened port": r"file /etc/ufw/user\.rules: .*content",
    "a flushed chain": r"command /usr/local/sbin/moorage-firewall apply: run",
    "a user": r"user mallory: may log in",
    "a listening port": r"port 9999/tcp: python3 listens",
    "a right": r"file /etc/sudoers\.d/mallory: nobody declared it",
    "a package": r"packages .*tzdata.*: install",
    "somebody's key": r"file /home/deploy/\.ssh/authorized_keys: .*content",
    "another image": r"container frontend-\w+: runs sha256:\w+, not registry",
}
# Whatever a check could change, but its own report, and but what the host's own timers write by themselves meanwhile.
_STATE = (
    "find /etc /opt/moorage /usr/local /var/lib/moorage /home -xdev \\( -path /opt/moorage/data"
    " -o -path /opt/moorage/caddy/log -o -path /opt/moorage/metrics -o -path /opt/moorage/backups"
    " -o -path /opt/moorage/static/status -o -path /opt/moorage/monitoring/prometheus/targets"
    " -o -path /var/lib/moorage/status.json -o -name drift.json -o -name 'lock.*'"
    " -o -path '*/.ansible*' \\) -prune -o -type f -printf '%p %m %u %T@ %s\\n' | sort;"
    " docker ps -a --format '{{.ID}} {{.State}}' | sort;"
    " iptables-save -t filter | grep -v '^#' | sed 's/\\[[0-9:]*\\]//'"
)


def look(lab: Lab, *args: str) -> Run:
    return ansible(lab, "drift", "--check", *args)


def items(site: Host) -> list[str]:
    return list(json.loads(site.exec("cat", f"{ROOT}/drift.json"))["items"])


@pytest.fixture(scope="module")
def drifted(lab: Lab, site: Host) -> Iterator[tuple[Run, list[str]]]:
    """A host with all of it, looked at; in the end put right."""
    try:
        for drift in (*drifts.DRIFTS, *STRANGE, *FURTHER):
            site.exec("sh", "-c", drift.make)
        before = site.exec("sh", "-c", _STATE)
        run = look(lab)
        assert site.exec("sh", "-c", _STATE) == before, "it looks, and changes nothing"
        yield run, items(site)
    finally:
        site.exec("sh", "-c", UNDO, check=False)
        if drifts.remaining(site):
            succeeded(ansible(lab, "site"))


def test_a_host_that_is_as_declared_has_none(lab: Lab, site: Host) -> None:
    run = succeeded(look(lab))
    assert items(site) == []
    assert "moorage_drift_items 0\n" in site.exec("cat", f"{ROOT}/metrics/drift.prom")
    assert "Nothing: the host is as the inventory says." in run.words


def test_every_drift_is_named_and_the_run_fails(drifted: tuple[Run, list[str]]) -> None:
    run, found = drifted
    assert run.code != 0 and "thing(s) are not as declared" in run.words
    unnamed = [drift for drift, words in NAMED.items() if not any(re.search(words, item) for item in found)]
    assert unnamed == [], found


def test_the_metric_counts_them(site: Host, drifted: tuple[Run, list[str]]) -> None:
    assert f"moorage_drift_items {len(drifted[1])}\n" in site.exec("cat", f"{ROOT}/metrics/drift.prom")


def test_it_refuses_to_run_without_check(lab: Lab, site: Host) -> None:
    run = ansible(lab, "drift")
    assert run.code != 0 and "only asks: run it with --check" in run.words


@full
def test_what_was_put_right_is_named_no_more(lab: Lab, site: Host, drifted: tuple[Run, list[str]]) -> None:
    site.exec("sh", "-c", UNDO)
    succeeded(ansible(lab, "site"))
    succeeded(look(lab))
    assert drifts.remaining(site) == [] and items(site) == []
