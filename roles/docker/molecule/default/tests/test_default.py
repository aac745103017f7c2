"""The engine, asked what it has made of its configuration."""

import json


def test_the_engine_took_the_configuration(host):
    told = json.loads(host.check_output("docker info -f '{{json .}}'"))
    assert told["LiveRestoreEnabled"]
    assert told["LoggingDriver"] == "journald"
    assert told["DefaultAddressPools"] == [{"Base": "10.210.0.0/16", "Size": 24}]
    assert "registry.example.com:5000" in told["RegistryConfig"]["IndexConfigs"]


def test_an_inventorys_option_wins_and_leaves_the_rest(host):
    options = json.loads(host.file("/etc/docker/daemon.json").content_string)["log-opts"]
    assert options == {"tag": "{{.Name}}", "labels": "moorage.service"}


def test_compose_and_buildx_are_there(host):
    assert host.check_output("docker compose version --short").startswith("2.")
    assert host.run("docker buildx version").rc == 0
