"""What sshd makes of its configuration."""

import pytest


@pytest.fixture
def settings(host):
    pairs = (line.split(maxsplit=1) for line in host.check_output("sshd -T").splitlines())
    return {pair[0]: pair[-1] for pair in pairs}


def test_only_keys_of_the_named_users_open_it(host, settings):
    assert settings["permitrootlogin"] == "no"
    assert settings["passwordauthentication"] == "no"
    assert settings["kbdinteractiveauthentication"] == "no"
    users = [line.split()[1] for line in host.check_output("sshd -T").splitlines() if line.startswith("allowusers")]
    assert users == ["deploy", "backup"]


def test_ansible_can_share_one_connection(settings):
    assert int(settings["maxsessions"]) >= 10


def test_no_old_algorithm_is_left(settings):
    assert "mlkem768x25519-sha256" in settings["kexalgorithms"]
    for name in ("kexalgorithms", "ciphers", "macs", "hostkeyalgorithms", "pubkeyacceptedalgorithms"):
        assert not [a for a in settings[name].split(",") if "sha1" in a or "cbc" in a or a == "ssh-rsa"]


def test_it_runs_with_this_configuration(host):
    assert host.service("ssh").is_running
    assert host.socket("tcp://0.0.0.0:22").is_listening
