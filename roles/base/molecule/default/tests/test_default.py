"""The host's ground, looked at from inside."""


def test_the_deploy_user_has_a_key_no_password_and_sudo(host):
    user = host.user("deploy")
    assert user.password == "!"
    keys = host.file("/home/deploy/.ssh/authorized_keys")
    assert (keys.mode, keys.user) == (0o600, "deploy")
    assert host.run("sudo -u deploy sudo -n id -u").stdout.strip() == "0"


def test_time_and_language_are_set(host):
    assert host.file("/etc/localtime").linked_to == "/usr/share/zoneinfo/Europe/Berlin"
    assert "de_DE.utf8" in host.check_output("locale -a")
    assert host.check_output("bash -lc 'date +%Z'") in ("CET", "CEST")


def test_upgrades_come_from_the_security_archive_alone(host):
    origins = host.check_output("apt-config dump Unattended-Upgrade::Origins-Pattern").splitlines()[1:]
    assert len(origins) == 1
    assert "-security" in origins[0]


def test_services_run(host):
    for name in ("chrony", "systemd-journald"):
        assert host.service(name).is_running
    assert host.check_output("systemctl --failed --plain --no-legend") == ""


def test_kernel_settings_are_only_written_down(host):
    assert host.file("/etc/sysctl.d/60-moorage.conf").contains("kernel.kptr_restrict = 2")
