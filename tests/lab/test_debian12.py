"""The same playbook on Debian 12, whose distribution has no Compose v2; and hosts that are refused."""

from __future__ import annotations

from concurrent.futures import Future

from tests.lab import Host, Lab, Shape
from tests.lab.playbook import OLD, OLD_DOMAIN, Run, ansible, succeeded, towards
from tests.lab.web import Client


def test_debian_12_becomes_the_product_and_the_second_run_changes_nothing(
    lab: Lab, site: Host, beside: Future[Run]
) -> None:
    succeeded(beside.result(timeout=600))
    bookworm = lab.hosts[OLD]
    assert 'VERSION_ID="12"' in bookworm.exec("cat", "/etc/os-release")
    assert succeeded(ansible(lab, "site", *towards(bookworm))).changed == 0
    ready = Client(bookworm.address, lab.root_certificate).get(f"https://api.{OLD_DOMAIN}/api/v1/health/ready")
    assert ready.status == 200
    lab.forget(OLD)


def test_a_host_with_too_little_memory_is_refused_untouched(lab: Lab, site: Host):
    small = lab.host("small", Shape(image="debian13", memory="1g", cpus=1))
    try:
        run = ansible(lab, "site", *towards(small))
        assert run.code != 0
        assert "This host has 1024 MB of memory; the stack needs 1900 MB or more." in run.words
        assert small.exec("ls", "/home").split() == []
        assert small.exec("sh", "-c", "ls -d /opt/moorage 2>/dev/null; true") == ""
    finally:
        lab.forget("small")


def test_a_foreign_service_on_port_80_is_named_and_nothing_is_changed(lab: Lab, site: Host):
    taken = lab.host("taken", Shape(image="debian13"))
    try:
        taken.exec("systemd-run", "--unit", "foreign", "python3", "-m", "http.server", "80")
        taken.exec("sh", "-c", "until ss -Hltn | grep -q ':80 '; do sleep 0.1; done")
        run = ansible(lab, "site", *towards(taken))
        assert run.code != 0
        assert "Port 80 is held by python3 (pid" in run.words
        assert "Nothing was changed." in run.words
        assert taken.exec("sh", "-c", "ls -d /opt/moorage 2>/dev/null; true") == ""
    finally:
        lab.forget("taken")
