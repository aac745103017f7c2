"""What a step is run with, is noted as, and leaves to be committed; and how a deploy that would flip stores fails."""

from __future__ import annotations

import http.server
import io
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from webapp.cli import CommandFailed
from webapp.cutover.commands import cutover as command_line
from webapp.records.service import steering

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cutover(plugin):
    return plugin("filter", "cutover")


@pytest.fixture
def options(render):
    """As the role's defaults have them."""
    facts = {"release": {"units": {}}, "begun": 0.0}
    return render("{{ __cutover_options }}", ansible_facts=facts, inventory_dir="/inventories/mine")


def test_the_steps_and_their_options_are_those_of_the_command_line(cutover, render):
    assert set(cutover.OPTIONS) == set(command_line.commands)
    assert set(render("{{ __cutover_steps }}", ansible_facts={}, inventory_dir="/x")) == set(cutover.OPTIONS)
    for step, flags in cutover.OPTIONS.items():
        known = {flag for option in command_line.commands[step].params for flag in option.opts}
        assert {flag for flag, _ in flags} <= known, step


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("begin", ""),
        ("plan", "--source rtdb --quiet"),
        ("verify", "--source rtdb --quiet --report /cutover"),
        ("switch", "--freeze 600 --window 24.0 --shadow-reads 1000 --shadow-hours 1.0 --report /cutover"),
        ("finish", "--prometheus http://prometheus:9090 --report /cutover"),
    ],
)
def test_what_is_not_said_is_left_to_the_command_line(cutover, options, step, words):
    assert cutover.cutover_words(step, options) == ["moorage", "cutover", step, *words.split()]


def test_a_reason_stays_one_word_and_a_list_repeats_its_option(cutover, options):
    said = {"tolerate": ["bots.color=as agreed", "x=y"], "without_shadow": "it is; a lab", "shadow_off": True}
    given = {**options, **said}
    words = cutover.cutover_words("switch", given)
    assert words[words.index("--without-shadow") + 1] == "it is; a lab"
    assert words[-4:] == ["--tolerate", "bots.color=as agreed", "--tolerate", "x=y"]
    assert cutover.cutover_words("shadow", given)[-1] == "--off"


def test_a_sources_files_are_there_for_reading_only(cutover):
    assert "/data/x.json:/data/x.json:ro" in cutover.cutover_volumes("rtdb-export:/data/x.json", "/f")
    assert cutover.cutover_volumes("rtdb", "/f") == ["--volume", "/f:/cutover", "--env", "TMPDIR=/cutover"]


def status(**facts):
    events = [{"words": "switched", "facts": {"frozen_seconds": 3.5}}, {"words": "x", "facts": {}}]
    return {"leader": "supabase", "state": "observing", "frozen_seconds": 0, "begun_at": "t", "version": "1",
            "verdict": {"verdict": "go"}, "events": events, **facts}  # fmt: skip


@pytest.mark.parametrize(
    ("step", "code", "verdict", "proved"),
    [("switch", 0, "success", True), ("switch", 1, "failed", False), ("begin", 0, "success", False)],
)
def test_a_line_of_the_release_log(cutover, step, code, verdict, proved):
    facts = {"code": code, "by": "ada", "image": "i", "number": 3, "status": status()}
    line = cutover.cutover_entry(step, facts)
    assert (line["kind"], line["step"], line["verdict"], line["leader"]) == ("cutover", step, verdict, "supabase")
    assert (line.get("frozen_seconds"), line.get("proof")) == ((3.5, {"verdict": "go"}) if proved else (None, None))


def test_a_step_after_which_nobody_answers_has_its_line_too(cutover):
    line = cutover.cutover_entry("switch", {"code": 1, "by": "", "image": "i", "number": None, "status": {}})
    assert line["verdict"] == "failed" and line["leader"] is None
    assert "is not known" in cutover.cutover_standing({})


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "supabase leads, and writes go on; the cutover is observing."),
        ({"frozen_seconds": 7}, "supabase leads, and writes thaw by themselves within 7 s; the cutover is observing."),
        ({"state": None}, "supabase leads, and writes go on."),
    ],
)
def test_how_a_cutover_stands_is_said_in_words(cutover, facts, said):
    assert cutover.cutover_standing(status(**facts)) == said


@pytest.fixture
def inventory(tmp_path):
    file = tmp_path / "group_vars/moorage/controlplane.yml"
    file.parent.mkdir(parents=True)
    file.write_text("---\ncontrolplane_image: x\ncontrolplane_data_backend: rtdb  # since ever\n"
                    "controlplane_rtdb_url: https://x\n")  # fmt: skip
    return file


@pytest.fixture
def places(plugin, tmp_path):
    names = ("controlplane_data_backend", "controlplane_rtdb_url", "controlplane_rtdb_root")
    return lambda: plugin("action", "inventory_lines").places(tmp_path, names)


def test_the_change_to_commit_is_given_with_its_file_and_line(cutover, inventory, places, tmp_path):
    assert cutover.cutover_commit("switch", places(), str(tmp_path))[1:] == [
        f"{inventory}:3",
        "-controlplane_data_backend: rtdb",
        "+controlplane_data_backend: supabase",
    ]
    assert "nothing to commit" in cutover.cutover_commit("revert", places(), str(tmp_path))[0]
    assert cutover.cutover_commit("begin", places(), str(tmp_path)) == []


def test_what_to_take_away_in_the_end_is_what_the_inventory_has(cutover, inventory, places, tmp_path):
    said = "\n".join(cutover.cutover_commit("finish", places(), str(tmp_path)))
    assert f"{inventory}:4 -controlplane_rtdb_url" in said and "rtdb_root" not in said
    assert f"{inventory}:3 controlplane_data_backend: supabase" in said and "RTDB_SECRET" in said


def test_where_the_inventory_has_no_line_its_file_is_named(cutover, tmp_path):
    assert cutover.cutover_commit("revert", {}, "/i")[1] == "/i/group_vars/moorage/controlplane.yml (no line yet)"


def task(path: str, name: str) -> dict:
    """A task of a file, however deep in blocks."""

    def walk(tasks):
        for one in tasks:
            yield one
            for part in ("block", "rescue", "always"):
                yield from walk(one.get(part, []))

    (found,) = [one for one in walk(yaml.safe_load((ROOT / path).read_text())) if one.get("name") == name]
    return found


def test_a_deploy_that_would_flip_the_store_ends_with_the_control_planes_own_words(render):
    said = io.StringIO()
    refusal = steering.StoreDisagrees("DATA_BACKEND is supabase, and records are led by rtdb. Nothing was changed.")
    CommandFailed(refusal.code, str(refusal)).show(said)
    job = task("roles/deploy/tasks/job.yml", "Run a job once")["name"]
    failed = {"msg": "non-zero return code", "stdout_lines": [], "stderr_lines": said.getvalue().splitlines()}
    template = task("roles/deploy/tasks/release.yml", "Keep the reason")["ansible.builtin.set_fact"]["__deploy_reason"]
    reason = render(template, ansible_failed_task={"name": job}, ansible_failed_result=failed)
    words = task("roles/deploy/tasks/release.yml", "Say so")["ansible.builtin.fail"]["msg"]
    shown = render(words, __deploy_reason=reason, __deploy_title="Release of x", __deploy_outcome="undone")
    assert "STORE_DISAGREES: DATA_BACKEND is supabase, and records are led by rtdb." in " ".join(shown.split())


def test_the_control_planes_containers_know_the_realtime_database_by_name_only(render, facts):
    given = {"data_backend": "rtdb", "rtdb_url": "https://x", "rtdb_root": "prod"}
    unit = render("{{ controlplane_unit }}", ansible_facts=facts, **{f"controlplane_{k}": v for k, v in given.items()})
    for service in (*unit["services"].values(), unit["jobs"]["setup"]):
        environment = service["environment"]
        seen = [environment[name] for name in ("DATA_BACKEND", "RTDB_URL", "RTDB_ROOT", "RTDB_SECRET")]
        assert seen == ["rtdb", "https://x", "prod", "${RTDB_SECRET:-}"]
    assert "DATABASE_OWNER_URL" in unit["jobs"]["setup"]["environment"]


@pytest.fixture
def stranger():
    """A server that answers 200 to whoever has the token, and 401 to others."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.headers.get("Authorization") == "Bearer a-token" else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("token", "status"), [("a-token", 200), ("", 401)])
def test_a_probe_asks_with_a_token_that_no_variable_holds(stranger, monkeypatch, token, status):
    monkeypatch.setenv("SOME_TOKEN", token)
    given = json.dumps({"checks": [{"url": stranger, "status": status}], "seconds": 0, "bearer": "SOME_TOKEN"})
    ran = subprocess.run(
        [Path(sys.executable).parent / "ansible", "localhost", "-i", "localhost,", "-c", "local", "-e",
         "ansible_become=false", "-vvv", "-m", "probe", "-a", given],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert not token or token not in ran.stdout + ran.stderr
