"""What is open from outside, seen from a second host: after provisioning, and after everything that could open it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.lab import Host, Lab
from tests.lab.fullness import full, some
from tests.lab.playbook import ansible, succeeded
from tests.lab.web import Client

OPEN, CLOSED = 80, 8080
# A container of the host's own Python: the image is made on the spot, as nothing can be pulled.
IMAGE = """
docker image inspect lab-python >/dev/null 2>&1 || tar -C / -c bin lib lib64 usr/bin/python3* usr/lib/python3* \
    usr/lib/x86_64-linux-gnu usr/lib64 | docker import - lab-python >/dev/null
"""
# --init: as process 1 Python would not hear the SIGTERM of a reboot, which would then wait 90 s for it.
SERVE = (
    "docker run -d --init --restart always --name lab-{port} -p {port}:8000 lab-python "
    "/usr/bin/python3 -m http.server 8000"
)


@pytest.fixture(scope="module")
def outsider(lab: Lab) -> Host:
    """A host on the same network, which is as near as an attacker can come."""
    return lab.host("outsider")


@pytest.fixture(scope="module")
def publishing(site: Host) -> Iterator[Host]:
    """The site host with two containers that publish a port: one the inventory names, one it does not."""
    site.exec(IMAGE)
    ports = [port for port in (OPEN, CLOSED) if not answers(site, "127.0.0.1", port)]
    for port in ports:
        site.exec(SERVE.format(port=port))
    yield site
    for port in ports:
        site.exec(f"docker rm -f lab-{port}")


def answers(client: Host, address: str, port: int) -> bool:
    """Whether something speaks HTTP there, and does so within two seconds."""
    tries = "" if address != "127.0.0.1" else "--retry 5 --retry-connrefused --retry-delay 1"
    code = client.exec(f"curl -s -o /dev/null -w '%{{http_code}}' -m 2 {tries} http://{address}:{port}/", check=False)
    return code.strip() not in ("", "000")


def seen(outsider: Host, host: Host) -> dict[int, bool]:
    return {port: answers(outsider, host.bridge_address, port) for port in (OPEN, CLOSED)}


def container_address(host: Host, port: int) -> str:
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return host.exec(f"docker inspect -f '{form}' lab-{port}").strip()


EVENTS = {
    "nothing": "true",
    "a reload of ufw": "ufw reload",
    "a restart of ufw": "systemctl restart ufw",
    "a restart of the engine": "systemctl restart docker",
    "a restart of fail2ban": "systemctl restart fail2ban",
    "an engine that was killed": "systemctl kill -s KILL docker; sleep 3; systemctl start docker",
}


@pytest.mark.parametrize("event", some(EVENTS, "a restart of the engine"))
def test_a_published_port_is_closed_after(event: str, publishing: Host, outsider: Host) -> None:
    publishing.exec(EVENTS[event])
    assert seen(outsider, publishing) == {OPEN: True, CLOSED: False}
    assert answers(publishing, "127.0.0.1", CLOSED), "it must be closed from outside only"


def test_a_published_port_is_closed_during_and_after_a_reboot(publishing: Host, outsider: Host, web: Client) -> None:
    watch = (
        f"for i in $(seq 400); do curl -s -m 0.3 -o /dev/null http://{publishing.bridge_address}:{CLOSED}/"
        " && echo open; sleep 0.05; done > /tmp/watch"
    )
    outsider.exec(f"rm -f /tmp/watch; nohup sh -c '{watch}' >/dev/null 2>&1 &")
    publishing.reboot()
    # The product is back by itself, which on busy cores takes longer than the port beside it.
    web.until("/api/v1/health/ready", lambda answer: answer.status == 200, seconds=120)
    assert answers(publishing, "127.0.0.1", CLOSED)
    assert seen(outsider, publishing) == {OPEN: True, CLOSED: False}
    assert outsider.exec("cat /tmp/watch") == ""
    publishing.exec("moorage-firewall check")


def test_a_container_is_not_reached_by_its_own_address(publishing: Host, outsider: Host) -> None:
    address = container_address(publishing, CLOSED)
    assert answers(publishing, address, 8000)
    outsider.exec(f"ip route replace {address}/32 via {publishing.bridge_address}")
    try:
        assert not answers(outsider, address, 8000)
    finally:
        outsider.exec(f"ip route del {address}/32")


def test_a_port_of_the_host_itself_is_closed(publishing: Host, outsider: Host) -> None:
    publishing.exec("systemd-run --unit lab-listener python3 -m http.server 8099")
    try:
        assert answers(publishing, "127.0.0.1", 8099)
        assert not answers(outsider, publishing.bridge_address, 8099)
    finally:
        publishing.exec("systemctl stop lab-listener")


DRIFTS = {
    "DOCKER-USER flushed": "iptables -F DOCKER-USER",
    "the chain flushed": "iptables -F MOORAGE-PUBLISHED",
    "a rule put before it": "iptables -I DOCKER-USER -j RETURN",
    "everything forwarded": "iptables -I FORWARD -j ACCEPT",
    "a port allowed": "ufw allow 8080/tcp",
    "ufw disabled": "ufw disable",
    "a port let in beside ufw": "iptables -I INPUT -p tcp --dport 8099 -j ACCEPT",
    "INPUT flushed": "iptables -P INPUT ACCEPT; iptables -F INPUT",
    "IPv6 opened": "ip6tables -P INPUT ACCEPT; ip6tables -F INPUT",
}


@full
@pytest.mark.parametrize("drift", DRIFTS)
def test_a_drift_is_told_by_a_check_and_repaired_by_a_run(
    drift: str, lab: Lab, publishing: Host, outsider: Host
) -> None:
    publishing.exec(DRIFTS[drift])
    check = succeeded(ansible(lab, "provision", "--check", "--diff"))
    assert "command /usr/local/sbin/moorage-firewall apply: run" in check.output
    assert succeeded(ansible(lab, "provision")).changed == 1
    publishing.exec("moorage-firewall check")
    assert seen(outsider, publishing) == {OPEN: True, CLOSED: False}


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.5)


def test_a_guesser_of_keys_is_banned(publishing: Host, outsider: Host) -> None:
    outsider.exec("rm -f /tmp/wrong*; ssh-keygen -q -t ed25519 -N '' -f /tmp/wrong")
    options = "-i /tmp/wrong -o BatchMode=yes -o StrictHostKeyChecking=no -o ConnectTimeout=2"
    # A ban in the middle of a handshake leaves the client waiting for an answer that never comes.
    guess = f"timeout 10 ssh {options} deploy@{publishing.bridge_address} true 2>&1"
    # OpenSSH 10 itself drops most of a guesser's connections, so that five take minutes to be counted.
    publishing.exec("fail2ban-client set sshd maxretry 2")

    def banned() -> bool:
        outsider.exec(guess, check=False)
        return outsider.bridge_address in publishing.exec("fail2ban-client get sshd banip")

    try:
        until(banned, seconds=60)
        assert "refused" in outsider.exec(guess, check=False)
        publishing.exec("moorage-firewall check")  # a ban is no drift
    finally:
        publishing.exec("fail2ban-client unban --all; fail2ban-client set sshd maxretry 5")


LOGGED = (
    '{"level":"info","ts":%s,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"%s",'
    '"remote_port":"4711","client_ip":"%s","proto":"HTTP/2.0","method":"GET","host":"api.moorage.test","uri":"/%s"},'
    '"bytes_read":0,"user_id":"","duration":0.01,"size":2,"status":%d}'
)


def test_who_is_refused_too_often_is_banned_from_the_containers(lab: Lab, publishing: Host, outsider: Host) -> None:
    log, innocent = "/var/log/lab-access.json", "192.0.2.7"
    succeeded(ansible(lab, "provision", "-e", f"firewall_access_log={log}", "-e", "firewall_access_tries=10"))
    # The second wants the first banned, by what it asks for.
    injected = rf"\"remote_ip\":\"{innocent}\",\"status\":401,"
    now, guilty = time.time(), outsider.bridge_address
    lines = [LOGGED % (now, guilty, guilty, injected, 401) for _ in range(12)]
    lines += [LOGGED % (now, innocent, innocent, injected, 200) for _ in range(12)]
    try:
        publishing.exec("tee", "-a", log, given="".join(f"{line}\n" for line in lines))
        until(lambda: guilty in publishing.exec("fail2ban-client get moorage-access banip"))
        assert innocent not in publishing.exec("fail2ban-client get moorage-access banip")
        assert not answers(outsider, publishing.bridge_address, OPEN)
        publishing.exec("moorage-firewall check")
    finally:
        publishing.exec("fail2ban-client unban --all")
        succeeded(ansible(lab, "provision"))
    assert seen(outsider, publishing) == {OPEN: True, CLOSED: False}
