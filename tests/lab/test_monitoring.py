"""The host is watched: everything is seen, a person is told once, and a deploy is no alarm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Host, Lab
from tests.lab.alert_ears import Ears, Hook, Post, amtool, asked, until
from tests.lab.fullness import full
from tests.lab.playbook import ROOT, TRANSCRIPT, ansible, succeeded
from tests.telegram import Telegram

FIVE = ("prometheus", "alertmanager", "node-exporter", "blackbox-exporter", "postgres-exporter")
JOBS = {"prometheus", "alertmanager", "node", "postgres", "blackbox", "product", "sites"}
PORTS = (9090, 9093, 9094, 9100, 9115, 9187, 3000)


@pytest.fixture(scope="module")
def ears(lab: Lab, site: Host) -> Iterator[Ears]:
    """Three receivers that the host knows and has been deployed with; forgotten at the end."""
    gateway = lab.plan.gateway
    with Telegram(gateway) as telegram, Post(gateway) as post, Hook(gateway) as hook:
        ears = Ears(telegram, post, hook)
        ears.variables = ["-e", json.dumps(ears.receivers)]
        lines = "".join(f"{name}='{value}'\n" for name, value in ears.secrets.items())
        site.exec("tee", "-a", "/opt/moorage/.env", given=lines)
        ears.run = succeeded(ansible(lab, "deploy", *ears.variables))
        yield ears
        for name in ears.secrets:
            site.exec("sed", "-i", f"/^{name}=/d", "/opt/moorage/.env")
        succeeded(ansible(lab, "deploy"))


def test_everything_is_seen(site: Host):
    def dark() -> list[str]:
        targets = asked(site, "targets?state=active")["activeTargets"]
        jobs = {target["labels"]["job"] for target in targets}
        ill = [f"{target['scrapeUrl']}: {target['lastError']}" for target in targets if target["health"] != "up"]
        return [*ill, *(JOBS - jobs)]

    until(lambda: dark() == [], 60)
    assert not [probe for probe in asked(site, "query?query=probe_success")["result"] if probe["value"][1] != "1"]
    assert asked(site, "query?query=pg_up")["result"][0]["value"][1] == "1"


def test_the_product_is_its_slots_that_run(site: Host):
    slots = site.exec("docker", "ps", "--format", "{{.Names}}").split()
    wanted = {name.removeprefix("moorage-") for name in slots if name.startswith(("moorage-api-", "moorage-sockets-"))}
    up = asked(site, "query?query=up{job=%22product%22}==1")["result"]
    assert {series["metric"]["instance"].partition(":")[0] for series in up} == wanted


def test_every_rule_is_loaded_and_evaluated(site: Host):
    groups = until(lambda: asked(site, "rules")["groups"])
    rules = [rule for group in groups for rule in group["rules"]]
    assert len([rule for rule in rules if rule["type"] == "alerting"]) > 30
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    assert not [rule["lastError"] for rule in rules if rule.get("lastError")]


def test_the_five_take_less_than_400_mb(site: Host):
    used = {}
    for name in FIVE:
        pid = site.exec("docker", "inspect", "-f", "{{.State.Pid}}", f"moorage-{name}").strip()
        lines = site.exec("cat", f"/proc/{pid}/cgroup").splitlines()
        line = next(line for line in lines if "memory" in line.split(":")[1].split(",") or line.startswith("0::"))
        group, v2 = line.split(":", 2)[2], line.startswith("0::")
        file = f"/sys/fs/cgroup{group}/memory.current" if v2 else f"/sys/fs/cgroup/memory{group}/memory.usage_in_bytes"
        used[name] = int(site.exec("cat", file))
    print({name: f"{size / 10**6:.0f} MB" for name, size in used.items()})
    assert sum(used.values()) < 400 * 10**6, used


def test_nothing_of_it_can_be_reached_from_outside(lab: Lab, site: Host):
    peer = lab.peer()
    try:
        ports = " ".join(map(str, PORTS))
        script = f"for port in {ports}; do curl -sS -m 2 {site.bridge_address}:$port && echo OPEN; done"
        assert "OPEN" not in peer.exec(script, check=False)
        assert "404" in peer.exec(
            f"curl -sk -o /dev/null -w '%{{http_code}}' --resolve api.moorage.test:443:{site.bridge_address} "
            "https://api.moorage.test/metrics"
        )
    finally:
        lab.forget("peer")


def test_secrets_are_in_files_that_only_their_reader_opens(site: Host, ears: Ears):
    inspected = "docker inspect moorage-alertmanager moorage-postgres-exporter"
    seen = site.exec(f"{inspected}; cat /opt/moorage/monitoring/*/*.yml")
    password = site.exec("sed", "-n", "s/^DATABASE_MONITOR_PASSWORD='\\(.*\\)'$/\\1/p", "/opt/moorage/.env").strip()
    assert password and password not in seen
    assert not any(value in seen + "".join(TRANSCRIPT) for value in ears.secrets.values())
    modes = site.exec("sh", "-c", "stat -c '%a %u' /opt/moorage/monitoring/secrets/*/*").splitlines()
    assert set(modes) == {"400 65534"}


def test_what_was_told_of_a_new_configuration_comes_back_with_the_host(site: Host, ears: Ears):
    # The engine's own note, which only its files show: such a container stays down after the next boot.
    notes = site.exec("grep", "-ro", '"HasBeenManuallyStopped":[a-z]*', "/var/lib/docker/containers").splitlines()
    assert len(notes) >= len(FIVE)
    assert [note for note in notes if not note.endswith(":false")] == []


@full
def test_a_changed_route_is_tried_once_and_everybody_took_it(lab: Lab, ears: Ears):
    assert "The test alert was taken by: team, ops, pager." in ears.run.words, ears.run.output[-3000:]
    assert len(ears.told("MoorageTest", "a test of the way to you", "monitoring.md#try-the-way")) == 1
    subjects = [str(letter["Subject"]) for letter in ears.post.letters]
    assert [subject for subject in subjects if "MoorageTest" in subject] == ["test: MoorageTest (moorage.test)"]
    tests = [call for call in ears.hook.calls if call["commonLabels"]["alertname"] == "MoorageTest"]
    assert [call["status"] for call in tests] == ["firing"]


@full
def test_who_does_not_take_it_is_named(lab: Lab, ears: Ears):
    ears.hook.status = 403
    try:
        run = ansible(lab, "alert_test", *ears.variables)
    finally:
        ears.hook.status = 200
    assert run.code != 0
    assert "was taken by: team, ops. The way of alerts is not open" in run.words and "pager (refused)" in run.words


def test_a_person_is_told_once_of_a_container_that_stopped_and_once_that_it_is_over(site: Host, ears: Ears):
    worker = next(name for name in site.exec("docker", "ps", "--format", "{{.Names}}").split() if "worker" in name)
    words = ("the container of worker does not run", "alerts.md#containernotrunning")

    def state(field: str) -> str:
        return site.exec("docker", "inspect", "-f", field, "moorage-alertmanager").strip()

    # One that still burns would be told of in the same note.
    until(lambda: amtool(site, "alert", "query", "alertname=ContainerNotRunning") == [])
    site.exec("docker", "stop", "-t", "5", worker)
    try:
        until(lambda: ears.told(*words), 150)
        told = float(site.exec("date", "+%s.%N"))
        # What was told is on the disk: then even a crash does not tell it again.
        until(lambda: float(site.exec("stat", "-c", "%.9Y", "/opt/moorage/data/alertmanager/nflog")) > told)
        site.exec("docker", "restart", "-t", "10", "moorage-prometheus")
        site.exec("kill", "-KILL", state("{{.State.Pid}}"))
        until(lambda: state("{{.State.Running}} {{.State.Restarting}}") == "true false")
        until(lambda: amtool(site, "alert", "query", "alertname=ContainerNotRunning"), 120)
        again = float(site.exec("date", "+%s.%N"))
        until(lambda: float(site.exec("stat", "-c", "%.9Y", "/opt/moorage/data/alertmanager/nflog")) > again)
        assert len(ears.told(*words)) == 1
    finally:
        site.exec("docker", "start", worker)
    until(lambda: ears.told("over: the container of worker does not run"))
    assert len(ears.told(*words)) == 1
    assert len(ears.told("over: the container of worker")) == 1


def test_a_deploy_is_silenced_and_heard_again_though_it_failed(lab: Lab, site: Host, ears: Ears):
    seen: list[dict] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            seen.extend(amtool(site, "silence", "query"))

    watcher = threading.Thread(target=look)
    watcher.start()
    broken = {"controlplane_environment": {"LOG_LEVEL": "no-level"}}
    try:
        run = ansible(lab, "deploy", *ears.variables, "-e", json.dumps(broken))
    finally:
        over.set()
        watcher.join()
    assert run.code != 0 and "what ran before serves on" in run.words
    assert {(entry["comment"], entry["matchers"][0]["name"]) for entry in seen} == {
        ("Release of a changed configuration", "scope")
    }
    assert amtool(site, "silence", "query") == []


def test_the_product_answers_whoever_asks_from_outside(lab: Lab, site: Host):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    facts = ["-e", f"@{lab.folder}/generated.yml"]
    command = [ROOT / ".ci/check-outside", "inventories/lab", *facts]
    good = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert good.returncode == 0 and "Everything answers as declared." in good.stdout, good.stdout
