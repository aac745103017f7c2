"""A bare host is site over SSH; the second time nothing changes, and a drift is repaired."""

from __future__ import annotations

from tests.lab import Host, Lab
from tests.lab.fullness import full
from tests.lab.playbook import ansible, succeeded


def test_the_second_run_changes_nothing(lab: Lab, site: Host) -> None:
    assert succeeded(ansible(lab, "provision")).changed == 0


@full
def test_a_check_of_a_provisioned_host_foretells_nothing(lab: Lab, site: Host) -> None:
    assert succeeded(ansible(lab, "provision", "--check", "--diff")).changed == 0


def test_root_and_passwords_have_no_way_in(site: Host) -> None:
    assert site.ssh("true", user="root").returncode == 255
    settings = site.exec("sshd -T").splitlines()
    assert {"passwordauthentication no", "permitrootlogin no", "allowusers deploy"} <= set(settings)
    assert site.exec("passwd --status deploy").split()[1] == "L"


def test_the_deploy_user_is_root_by_sudo(site: Host) -> None:
    assert site.ssh("sudo -n id -u", user="deploy").stdout.strip() == "0"
    site.exec("visudo --check")


def test_nothing_has_failed_on_the_host(site: Host) -> None:
    assert site.exec("systemctl is-system-running", check=False).strip() == "running"
    for unit in ("chrony", "docker", "fail2ban", "ssh", "ufw", "apt-daily-upgrade.timer"):
        assert site.exec(f"systemctl is-enabled {unit}").strip() == "enabled"
        assert site.exec(f"systemctl is-active {unit}").strip() == "active"


def test_the_engine_has_compose_and_its_limits(site: Host) -> None:
    assert site.exec("docker compose version --short").strip().startswith("2.")
    assert site.exec("docker info -f '{{.LiveRestoreEnabled}} {{.LoggingDriver}}'").strip() == "true journald"


DRIFTS = {
    "a mode": "chmod 0644 /etc/sudoers.d/deploy",
    "an owner": "chown nobody /etc/docker/daemon.json",
    "a content": "echo 'PermitRootLogin yes' > /etc/ssh/sshd_config.d/00-moorage.conf; systemctl reload ssh",
    "a missing file": "rm /etc/systemd/journald.conf.d/moorage.conf",
    "a key too many": "echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA eve' >> /home/deploy/.ssh/authorized_keys",
    "a link elsewhere": "ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime",
    "a stopped unit": "systemctl stop chrony",
    "a disabled unit": "systemctl disable fail2ban",
    "a missing package": "apt-get -qq -y remove jq",
    "a password": "echo deploy:secret | chpasswd",
    "a shell": "usermod -s /bin/sh deploy",
}


@full
def test_every_drift_is_told_by_a_check_and_repaired_by_a_run(lab: Lab, site: Host) -> None:
    for command in DRIFTS.values():
        site.exec(command)
    told = succeeded(ansible(lab, "provision", "--check", "--diff"))
    done = succeeded(ansible(lab, "provision", "--diff"))
    assert changes(told.output) == changes(done.output)
    assert len(changes(done.output)) >= len(DRIFTS)
    assert succeeded(ansible(lab, "provision")).changed == 0


def changes(out: str) -> list[str]:
    """The lines of a diff that name a change, whichever way they are shown."""
    kinds = ("packages ", "user ", "group ", "file ", "command ", "unit ", "systemd ", "+++ after: ")
    return [line.removeprefix("+++ after: ") for line in out.splitlines() if line.startswith(kinds)]
