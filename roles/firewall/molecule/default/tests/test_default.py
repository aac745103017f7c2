"""The rules that are loaded, and those that ufw's own tool reads."""


def test_what_is_loaded_is_what_is_written(host):
    assert host.run("moorage-firewall check").rc == 0


def test_ufw_reads_the_rules_it_did_not_write(host):
    status = host.check_output("ufw status")
    assert "Status: active" in status
    for words in ("22/tcp ALLOW Anywhere", "443/udp ALLOW Anywhere", "5432/tcp ALLOW 192.0.2.0/24"):
        assert words in " ".join(status.split())
    assert "5432/tcp ALLOW 2001:db8::1" in " ".join(status.split())


def test_ufw_writing_its_rules_anew_is_no_drift(host):
    files = "cat /etc/ufw/*.rules /etc/ufw/ufw.conf"
    before = host.check_output(files)
    host.check_output("ufw reload")
    assert host.check_output(files) == before
    assert host.run("moorage-firewall check").rc == 0


def test_containers_are_closed_on_the_outer_interface(host):
    for program in ("iptables", "ip6tables"):
        assert host.check_output(f"{program} -S DOCKER-USER").splitlines()[1] == "-A DOCKER-USER -j MOORAGE-PUBLISHED"
        assert host.check_output(f"{program} -S MOORAGE-PUBLISHED").splitlines()[-1].endswith("-i eth0 -j DROP")


def test_both_jails_watch(host):
    assert host.service("fail2ban").is_running
    jails = host.check_output("fail2ban-client status")
    assert "sshd" in jails
    assert "moorage-access" in jails
