"""What is drift, and what is not: tables of what a host says of itself."""

from __future__ import annotations

import json
import subprocess

import pytest

REFERENCE = "registry.example/shop@sha256:" + "a" * 64


@pytest.fixture
def drift(plugin):
    return plugin("module_utils", "drift")


@pytest.fixture
def reports(plugin):
    return plugin("filter", "reports")


@pytest.mark.parametrize(
    ("ids", "running", "items"),
    [
        ({REFERENCE: "sha256:1"}, {"shop": "sha256:1"}, 0),
        ({REFERENCE: "sha256:1"}, {"shop": "sha256:2"}, 1),
        ({}, {"shop": "sha256:2"}, 1),
        ({REFERENCE: "sha256:1"}, {}, 0),  # a container that is missing is the role's own word
    ],
)
def test_a_container_of_another_image(drift, ids, running, items):
    assert len(drift.images({"shop": REFERENCE}, ids, running)) == items


def test_a_container_of_nobody(drift):
    lines = ["moorage-api-blue moorage", "miner ", "known-one other"]
    assert drift.strangers(lines, "moorage", ["known-one"]) == ["container miner: is not of the stack"]


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ('tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=6))', None),
        ('tcp LISTEN 0 128 [::]:22 [::]:* users:(("sshd",pid=1,fd=6))', None),
        ('udp UNCONN 0 0 127.0.0.1:323 0.0.0.0:* users:(("chronyd",pid=1,fd=5))', None),
        ("udp UNCONN 0 0 127.0.0.11:51633 0.0.0.0:*", None),
        ("tcp LISTEN 0 4096 [::1]:42247 [::]:*", None),
        ('udp UNCONN 0 0 10.0.0.5%eth0:68 0.0.0.0:* users:(("systemd-network",pid=1,fd=5))', None),
        (
            'tcp LISTEN 0 5 0.0.0.0:9999 0.0.0.0:* users:(("python3",pid=1,fd=3))',
            "port 9999/tcp: python3 listens, and nobody declared it",
        ),
        ("udp UNCONN 0 0 *:22 *:*", "port 22/udp: an unknown process listens, and nobody declared it"),
    ],
)
def test_a_port_that_answers_the_world(drift, line, item):
    assert drift.ports(line, ["22/tcp"]) == ([item] if item else [])


PASSWD = "root:x:0:0:root:/root:/bin/bash\ndeploy:x:1000:1000::/home/deploy:/bin/bash\nwww:x:33:33::/:/usr/sbin/nologin"
SHADOW = "root:*:1::::::\ndeploy:!:1::::::\nwww:*:1::::::"
GROUP = "sudo:x:27:\nadm:x:4:deploy\ndocker:x:103:"


@pytest.mark.parametrize(
    ("passwd", "shadow", "group", "items"),
    [
        ("", "", "", []),
        ("\neve:x:1001:1001::/:/bin/sh", "\neve:!:1::::::", "", ["user eve: may log in, and nobody declared it"]),
        ("\neve:x:1001:1001::/:/usr/sbin/nologin", "\neve:!:1::::::", "", []),
        ("\ntoor:x:0:0::/root:/bin/sh", "\ntoor:*:1::::::", "", ["user toor: is root by another name"]),
        ("\nsvc:x:200:200::/:/usr/sbin/nologin", "\nsvc:$y$x:1::::::", "", ["user svc: has a password"]),
        ("", "", "\nwheel:x:9:www", ["user www: is in the group wheel"]),
        ("\nnobody:x:65534:65534::/:/bin/sh", "\nnobody:*:1::::::", "", []),
    ],
)
def test_a_user_of_nobody(drift, passwd, shadow, group, items):
    assert drift.users(PASSWD + passwd, SHADOW + shadow, GROUP + group, ["deploy"]) == items


def test_rights_that_nobody_declared(drift):
    assert drift.sudoers(["README", "deploy", "eve"], ["deploy"]) == ["file /etc/sudoers.d/eve: nobody declared it"]


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ("??5?????? c /etc/ssh/sshd_config", None),
        ("??5??????   /usr/bin/ss", "file /usr/bin/ss: is not as its package brought it"),
        ("missing     /usr/bin/ss", "file /usr/bin/ss: its package's, and gone"),
        ("missing     /usr/share/doc/ss", None),
        ("missing     /usr/share/locale", None),
        ("missing   c /etc/default/ss", None),
        ("missing     /usr/lib/x (Permission denied)", "file /usr/lib/x: its package's, and gone"),
        ("?????????   /usr/bin/ss", None),
    ],
)
def test_a_packages_file_that_is_another(drift, line, item):
    assert drift.packages(line) == ([item] if item else [])


def test_a_unit_that_has_failed(drift):
    assert drift.units("moorage-x.service loaded failed failed X\n\n") == ["unit moorage-x.service: has failed"]


def test_the_report_has_each_thing_once_with_the_task_that_would_put_it_right(reports):
    notes = [{"task": "Harden", "said": ["file /a: mode 0666 -> 0644", "unit b: start"]}]
    items = reports.drift_items(notes, ["port 1/tcp: x", "port 1/tcp: x"])
    assert items == ["file /a: mode 0666 -> 0644  (Harden)", "unit b: start  (Harden)", "port 1/tcp: x"]


def test_only_what_must_run_is_compared(reports):
    more = {"db": {}, "opt": {"profiles": ["p"]}, "api-blue": {}}
    document = {"services": {name: {"image": f"{name}@x", **fields} for name, fields in more.items()}}
    assert set(reports.running_images(document, ["db", "opt"], ["api-blue", "api-green"])) == {"db", "api-blue"}


def test_metrics_are_text_that_prometheus_reads(reports):
    text = reports.metric_text({"moorage_drift_items": 3}, {"moorage_drift_items": "Things."})
    assert text == "# HELP moorage_drift_items Things.\n# TYPE moorage_drift_items gauge\nmoorage_drift_items 3\n"


@pytest.mark.parametrize(
    ("reference", "listed"),
    [
        ("registry:5000/a/b@sha256:1", "registry:5000/a/b@sha256:1"),
        ("registry:5000/a/b:tag@sha256:1", "registry:5000/a/b@sha256:1"),
        ("docker.io/library/caddy:2@sha256:1", "caddy@sha256:1"),
        ("docker.io/grafana/grafana@sha256:1", "grafana/grafana@sha256:1"),
    ],
)
def test_a_reference_as_the_engine_lists_it(plugin, reference, listed):
    assert plugin("modules", "drift_look")._by_digest(reference) == listed


def test_the_callback_notes_only_what_a_play_that_collects_would_change(plugin, tmp_path, monkeypatch):
    notes = plugin("callback", "drift_notes")
    monkeypatch.setattr(notes.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))

    class Result:
        result: dict = {"changes": ["file /a: mode"], "changed": True}  # noqa: RUF012 - a stand-in of Ansible's
        task = type("T", (), {"check_mode": True, "get_name": lambda self: "Harden"})()
        host = type("H", (), {"get_name": lambda self: "vps"})()

        def is_changed(self):
            return self.result["changed"]

    def play(**variables):
        return type("P", (), {"get_vars": lambda self: variables})()

    callback = notes.CallbackModule()
    callback.v2_playbook_on_play_start(play())
    callback.v2_runner_on_ok(Result())
    assert list(tmp_path.iterdir()) == []
    callback.v2_playbook_on_play_start(play(collects_drift=True))
    callback.v2_runner_on_ok(Result())
    lines = [json.loads(line) for line in (tmp_path / notes.NOTES).read_text().splitlines()]
    assert lines == [{"host": "vps", "task": "Harden", "said": ["file /a: mode"]}]


@pytest.mark.parametrize(("repair", "end"), [(False, "exit 1"), (True, "pull site && pull drift --check")])
def test_the_hosts_own_look_only_repairs_where_it_is_told_to(render, tmp_path, repair, end):
    from tests.rendering import ROOT

    script = tmp_path / "moorage-drift"
    given = {"drift_repository": "ssh://git@host/x y.git", "drift_repair": repair, "inventory_hostname": "vps"}
    script.write_text(render(ROOT / "roles/drift/templates/moorage-drift.j2", **given))
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert script.read_text().splitlines()[-1] == end and "'ssh://git@host/x y.git'" in script.read_text()
