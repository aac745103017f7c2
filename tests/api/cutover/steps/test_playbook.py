"""The role that takes the steps: what it prints, keeps and signs, and where it goes back. Its container is the lab's to
try (tests/lab/test_cutover.py); everything in it is real here."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from werkzeug.serving import BaseWSGIServer, make_server

from tests.api.cutover.steps import container
from tests.api.cutover.steps.conftest import Installation
from tests.api.people import Town
from tests.lab.fullness import full
from tests.playbooks.machine import play, words
from tests.rehearsing import IMAGE, let_sign, new_key
from tests.rendering import load
from webapp.settings import inherited

# Two minutes of Ansible: the lab tries the same with a real container.
pytestmark = full
NOTES = "/api/v1/workspace/notes"
# What the guard has looked up before the role begins.
PLAY = """
- hosts: moorage
  tasks:
    - ansible.builtin.set_fact:
        {{release: {release}, begun: "{{{{ now().timestamp() }}}}", run: {{by: ada}}, cacheable: true}}
    - ansible.builtin.import_role: {{name: cutover, rolespec_validate: false}}
"""
WITHOUT_SHADOW = {"cutover_without_shadow": "a test"}


@dataclass
class Controller:
    """A person with an inventory, on the machine that serves."""

    folder: Path
    root: Path
    given: dict[str, Any]

    def runs(self, step: str = "", **given: Any) -> subprocess.CompletedProcess[str]:
        typed = {"cutover_step": step, "cutover_host": "vps", **self.given, **given}
        done = play("-i", self.inventory, self.folder / "play.yml", "-e", json.dumps(typed))
        print(done.stdout)
        return done

    def takes(self, step: str, **given: Any) -> str:
        done = self.runs(step, **given)
        assert done.returncode == 0, done.stdout + done.stderr
        return words(done)

    def fails(self, step: str = "", **given: Any) -> str:
        done = self.runs(step, **given)
        assert done.returncode != 0, done.stdout
        return words(done)

    @property
    def inventory(self) -> Path:
        return self.folder / "inventories" / "staging"

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.root / "releases.jsonl").read_text().splitlines()]

    def report(self, step: str) -> Path:
        """The folder of the last step of that name."""
        return sorted((self.root / "cutover").glob(f"*-{step}"))[-1]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=api.moorage.test", "-addext", "subjectAltName=DNS:api.moorage.test"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", key, "-out", made], check=True, capture_output=True)
    return made, key


@pytest.fixture
def outside(its: Installation, certificate: tuple[Path, Path]) -> Iterator[BaseWSGIServer]:
    """Where the installation answers, as a proxy would serve it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = make_server("127.0.0.1", 0, its.app, threaded=True, ssl_context=context)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    yield server
    server.shutdown()
    serving.join(10)
    server.server_close()


@pytest.fixture
def controller(
    its: Installation, town: Town, outside: BaseWSGIServer, certificate: tuple[Path, Path], tmp_path: Path
) -> Controller:
    root, inventory = tmp_path / "stack", tmp_path / "inventories" / "staging"
    root.mkdir()
    (inventory / "group_vars" / "moorage").mkdir(parents=True)
    hosts = {"moorage": {"hosts": {"vps": {"ansible_connection": "local", "ansible_become": False}}}}
    (inventory / "hosts.yml").write_text(yaml.safe_dump(hosts))
    said = "---\ncontrolplane_image: x\ncontrolplane_data_backend: rtdb\ncontrolplane_rtdb_url: http://x\n"
    (inventory / "group_vars/moorage/controlplane.yml").write_text(said)
    (tmp_path / "variables.json").write_text(json.dumps(inherited(**its.variables)))
    unit = {"active": "blue", "images": {"blue": IMAGE}, "tags": {"blue": "sha-1"}}
    release = json.dumps({"number": 3, "units": {"controlplane": unit}})
    (tmp_path / "play.yml").write_text(PLAY.format(release=release))
    key = new_key(tmp_path, "ci")
    let_sign(inventory / "allowed_signers", key)
    return Controller(tmp_path, root, {
        "__cutover_job": [sys.executable, container.__file__, str(tmp_path / "variables.json")],
        "cutover_root": str(root), "cutover_is_rehearsal": True, "cutover_signing_key": str(key),
        "cutover_domain": f"moorage.test:{outside.server_port}", "cutover_probe_address": "127.0.0.1",
        "cutover_probe_ca": certificate[0].read_text(), "cutover_probe_seconds": 1,
    })  # fmt: skip


def title(town: Town, note: str) -> Any:
    return town.admin.get(f"{NOTES}/{note}").json["data"]["title"]


def test_a_rehearsal_leaves_its_reports_its_lines_and_a_record_that_allows_a_switch_elsewhere(
    its: Installation, town: Town, controller: Controller, tmp_path: Path
) -> None:
    its.does("begin")
    its.does("sync", "--source", "rtdb", "--quiet")
    controller.takes("verify", cutover_fetch=str(tmp_path / "here"))
    (fetched,) = (tmp_path / "here/vps").glob("*-verify")
    assert json.loads((fetched / "parity.json").read_text())["verdict"] == "go"
    assert (fetched / "parity.md").read_text() in (fetched / "output.txt").read_text() + "\n"

    said = controller.takes("switch", **WITHOUT_SHADOW)
    assert "proved: go" in said and "The cutover is observing." in said
    line = f"{controller.inventory}/group_vars/moorage/controlplane.yml:3"
    assert f"{line}" in said and "+controlplane_data_backend: supabase" in said
    assert town.admin.call(f"PATCH {NOTES}/note-1", {"title": "since"}).status_code == 200

    said = controller.takes("revert")
    # Nothing was committed in between.
    assert f"rtdb leads, as {line} says: there is nothing to commit." in said and title(town, "note-1") == "since"
    steps = [(line["kind"], line["step"], line["verdict"], line["state"], line["leader"]) for line in controller.log]
    assert steps == [
        ("cutover", "switch", "success", "observing", "supabase"), ("cutover", "revert", "success", "reverted", "rtdb"),
    ]  # fmt: skip
    records, signers = tmp_path / "inventories/rehearsals", controller.inventory / "allowed_signers"
    record = load("module_utils", "rehearsals").allowing(records, signers, IMAGE, days=1)
    assert (record["inventory"], record["version"]) == ("staging", its.settings.moorage_version)
    assert record["switch"]["proof"]["verdict"] == "go" and 0 < record["revert"]["frozen_seconds"] < 60


def test_what_a_step_refuses_is_said_with_how_things_stand_and_kept(
    its: Installation, town: Town, controller: Controller
) -> None:
    its.does("begin")
    said = controller.fails("switch")
    assert "switch ended with 1: SHADOW_TOO_SHORT: The two stores are not asked the same" in said
    assert "rtdb leads, and writes go on; the cutover is syncing." in said
    assert "SHADOW_TOO_SHORT" in (controller.report("switch") / "output.txt").read_text()
    assert controller.log[-1]["verdict"] == "failed"


def test_an_outside_that_answers_otherwise_after_the_switch_has_it_reverted(
    its: Installation, town: Town, controller: Controller, outside: BaseWSGIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    its.does("begin")
    asked: list[str] = []
    inner = outside.app

    def breaking(environ: Any, start: Any) -> Any:
        """Right until each of the five paths was asked once."""
        asked.append(environ["PATH_INFO"])
        if len(asked) > 5:
            start("502 Bad Gateway", [("Content-Length", "0")])
            return [b""]
        return inner(environ, start)

    monkeypatch.setattr(outside, "app", breaking)
    said = controller.fails("switch", **WITHOUT_SHADOW)
    assert "Switched, but Probed from outside" in said and "status 502, expected 401" in said
    assert "It was reverted, with what was written since." in said
    assert "rtdb leads, and writes go on; the cutover is reverted." in said
    assert [line["step"] for line in controller.log] == ["switch", "revert"]


@pytest.mark.parametrize(
    ("gate", "said", "ran"),
    [
        ("false", "its gate ended with 1: non-zero return code. Nothing was changed.", ["gate"]),
        ("true", "its verify ended with 1: non-zero return code. It was taken back.",
         ["gate", "switch", "verify", "revert"]),
    ],
)  # fmt: skip
def test_a_staged_change_that_is_not_as_it_should_be_is_taken_back(
    its: Installation, controller: Controller, tmp_path: Path, gate: str, said: str, ran: list[str]
) -> None:
    made = tmp_path / "made"
    stages = {"gate": [gate], "switch": ["touch", str(made)], "verify": ["false"], "revert": ["rm", str(made)]}
    (controller.inventory / "changes").mkdir()
    (controller.inventory / "changes/wide.yml").write_text(yaml.safe_dump(stages))
    done = controller.runs(cutover_change="changes/wide.yml")
    assert done.returncode != 0 and said in words(done), words(done)
    assert [line["step"] for line in controller.log] == [f"wide-{stage}" for stage in ran]
    assert not made.exists()
