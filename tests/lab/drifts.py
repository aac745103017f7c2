"""What people and accidents do to a host by hand, each one thing for site.yml to put right."""

from __future__ import annotations

from dataclasses import dataclass

from tests.lab.hosts import Host

ACTIVE = "$(docker ps --format '{{.Names}}' | grep '^moorage-worker-')"


@dataclass(frozen=True)
class Drift:
    """One drift: the command that makes it, and one that exits 0 where it is gone."""

    name: str
    make: str
    repaired: str


DRIFTS = (
    Drift(
        "a file's mode",
        "chmod 0666 /opt/moorage/compose.yml",
        "test $(stat -c %a /opt/moorage/compose.yml) = 640",
    ),
    Drift(
        "a file's content",
        "echo '# mine' >> /opt/moorage/caddy/conf/Caddyfile",
        "! grep -q '# mine' /opt/moorage/caddy/conf/Caddyfile",
    ),
    Drift(
        "a file's owner",
        "chown 1:1 /opt/moorage/postgres/pg_hba.conf",
        "test $(stat -c %u:%g /opt/moorage/postgres/pg_hba.conf) = 999:999",
    ),
    Drift("a missing file", "rm /etc/ssh/sshd_config.d/*moorage*", "ls /etc/ssh/sshd_config.d/*moorage*"),
    Drift("an open .env", "chmod 0644 /opt/moorage/.env", "test $(stat -c %a /opt/moorage/.env) = 600"),
    Drift("a stopped unit", "systemctl stop fail2ban", "systemctl is-active fail2ban"),
    Drift("a disabled unit", "systemctl disable chrony", "systemctl is-enabled chrony"),
    Drift(
        "a stopped container", f"docker stop -t 5 {ACTIVE}", "docker ps --format '{{.Names}}' | grep moorage-worker-"
    ),
    Drift("an opened port", "ufw allow 8080/tcp", "! ufw status | grep -q 8080"),
    Drift("a flushed chain", "iptables -F DOCKER-USER", "iptables -S DOCKER-USER | grep -q -e '-j MOORAGE-PUBLISHED'"),
)


def make(host: Host) -> None:
    """Put all drifts into the host; an AssertionError names one that could not be made."""
    for drift in DRIFTS:
        assert _succeeds(host, drift.make), f"could not make the drift: {drift.name}"


def remaining(host: Host) -> list[str]:
    """Names of the drifts that are still there."""
    return [drift.name for drift in DRIFTS if not _succeeds(host, drift.repaired)]


def _succeeds(host: Host, command: str) -> bool:
    return host.exec("sh", "-c", f"( {command} ) >/dev/null 2>&1; echo $?").strip() == "0"
