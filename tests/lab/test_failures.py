"""Health tells the truth when a part is gone, and what was broken by hand is put right."""

from __future__ import annotations

import json

import pytest

from tests.lab import Host, Lab
from tests.lab.playbook import ansible, succeeded
from tests.lab.web import Client


@pytest.mark.parametrize("part", ["postgres", "object-store"])
def test_readiness_is_honest_and_life_goes_on(site: Host, web: Client, part: str):
    site.exec("docker", "stop", "-t", "20", f"moorage-{part}", timeout=60)
    try:
        answer = web.until("/api/v1/health/ready", lambda answer: answer.status == 503)
        assert json.loads(answer.body)["data"]["ready"] is False
        assert web.api("/api/v1/health/live").status == 200
    finally:
        site.exec("docker", "start", f"moorage-{part}")
    web.until("/api/v1/health/ready", lambda answer: answer.status == 200, seconds=90)


DRIFTS = {
    "a file's mode": "chmod 0666 /opt/moorage/compose.yml",
    "a file's content": "echo '# mine' >> /opt/moorage/caddy/conf/Caddyfile",
    "a missing file": "rm /etc/ssh/sshd_config.d/*moorage*",
    "a secret's mode": "chmod 0644 /opt/moorage/.env",
    "a stopped unit": "systemctl stop fail2ban",
    "a stopped container": "docker stop -t 5 moorage-worker-$(sed -n 's/.*\"active\": \"\\(.*\\)\".*/\\1/p' "
    "/opt/moorage/release.json | head -1)",
    "an opened port": "ufw allow 8080/tcp",
    "a flushed chain": "iptables -F DOCKER-USER",
}


def test_every_drift_is_repaired(lab: Lab, site: Host, web: Client):
    """All of them by hand, one run; then nothing is left to repair."""
    for name, command in DRIFTS.items():
        assert site.exec("sh", "-c", f"{command} >/dev/null 2>&1; echo $?").strip() == "0", name
    foreseen = ansible(lab, "site", "--check")
    run = succeeded(ansible(lab, "site"))
    assert run.changed > 0
    assert foreseen.changed > 0, "check mode must foresee repairs"
    assert site.exec("stat", "-c", "%a", "/opt/moorage/compose.yml").strip() == "640"
    assert "# mine" not in site.exec("cat", "/opt/moorage/caddy/conf/Caddyfile")
    assert site.exec("sh", "-c", "ls /etc/ssh/sshd_config.d/*moorage*").strip()
    assert site.exec("stat", "-c", "%a", "/opt/moorage/.env").strip() == "600"
    assert site.exec("systemctl", "is-active", "fail2ban").strip() == "active"
    assert "moorage-worker-" in site.exec("docker", "ps", "--format", "{{.Names}}")
    assert "8080" not in site.exec("ufw", "status")
    assert "DROP" in site.exec("iptables", "-S", "DOCKER-USER")
    assert succeeded(ansible(lab, "site")).changed == 0
