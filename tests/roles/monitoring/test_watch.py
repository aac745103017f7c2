"""moorage-watch: what it says of containers, slots and releases, and how it keeps the secrets' files."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

ROLE = Path(__file__).parents[3] / "roles/monitoring"
RELEASE = {
    "number": 12,
    "tag": "sha-2",
    "entry": {"at": "2026-11-28T05:00:00Z"},
    "units": {
        "controlplane": {"active": "green", "definitions": {"green": {"services": {"api": {}, "worker": {}}}}},
        "unborn": {"active": "", "definitions": {}},
    },
}
UNITS = ["controlplane", "unborn"]


@pytest.fixture(scope="module")
def watch() -> ModuleType:
    spec = importlib.util.spec_from_file_location("moorage_watch_script", ROLE / "files/moorage-watch.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def container(name: str, state: str = "running", status: str = "Up 2 minutes (healthy)") -> dict[str, Any]:
    return {"Labels": {"com.docker.compose.service": name}, "State": state, "Status": status}


def samples(lines: list[str]) -> dict[str, float]:
    """As Prometheus would read it."""
    found = {}
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            found["/".join([sample.name, *sample.labels.values()])] = sample.value
    return found


def test_the_slot_that_serves_and_what_has_none_are_to_run(watch):
    assert watch.expected(["postgres"], RELEASE, UNITS) == ["postgres", "api-green", "worker-green"]
    assert watch.expected(["postgres"], RELEASE, []) == ["postgres"], "what is not declared runs no more"
    assert watch.expected(["postgres"], {}, UNITS) == [], "before the first release nothing is"


def test_a_container_that_stopped_or_was_removed_does_not_run(watch):
    found = [container("postgres"), container("api-green", "exited", "Exited (1)"), container("api-blue")]
    lines = watch.container_lines(watch.expected(["postgres"], RELEASE, UNITS), found)
    assert samples(lines) == {
        "moorage_container_running/postgres": 1,
        "moorage_container_running/api/green": 0,
        "moorage_container_running/worker/green": 0,
        "moorage_container_running/api/blue": 1,
        "moorage_container_healthy/postgres": 1,
        "moorage_container_healthy/api/blue": 1,
    }


def test_one_that_runs_and_fails_its_check_is_unhealthy(watch):
    lines = watch.container_lines([], [container("worker-blue", status="Up 3 hours (unhealthy)")])
    assert samples(lines)["moorage_container_healthy/worker/blue"] == 0


def test_prometheus_asks_both_slots_while_both_run_and_the_one_that_serves_though_it_be_down(watch):
    wanted = watch.expected([], RELEASE, UNITS)
    both = watch.targets({"api": 8000}, wanted, [container("api-blue"), container("api-green")])
    assert [target["targets"] for target in both] == [["api-blue:8000"], ["api-green:8000"]]
    assert both[0]["labels"] == {"service": "api", "slot": "blue"}
    down = watch.targets({"api": 8000}, wanted, [container("api-green", "exited")])
    assert [target["targets"] for target in down] == [["api-green:8000"]]


def test_a_release_is_told_with_its_time(watch):
    assert samples(watch.release_lines(RELEASE)) == {
        "moorage_release_info/12/sha-2": 1,
        "moorage_release_timestamp_seconds": 1795842000,
    }
    assert watch.release_lines({}) == []


def test_a_tag_cannot_break_the_format(watch):
    odd = {**RELEASE, "tag": 'a"b\\c\nd'}
    assert next(iter(samples(watch.release_lines(odd)))) == 'moorage_release_info/12/a"b\\c d'


@pytest.fixture
def host(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / ".env").write_text("A='old'\nB='b'\nA='a$1'\nC=\"it's \\$5 \\\\\"\n")
    (tmp_path / "monitoring/secrets/reader").mkdir(parents=True)
    return {"root": str(tmp_path), "secrets": {"reader": ["A", "C", "MISSING"]}}


def held(host: dict[str, Any]) -> dict[str, str]:
    return {path.name: path.read_text() for path in Path(host["root"], "monitoring/secrets/reader").iterdir()}


def test_a_secrets_file_holds_what_env_says_and_nobody_else_may_read_it(watch, host):
    assert watch.secrets(host, check=True) is True and held(host) == {}
    assert watch.secrets(host, check=False) is True
    assert held(host) == {"A": "a$1", "C": "it's $5 \\"}
    assert watch.secrets(host, check=True) is False and watch.secrets(host, check=False) is False
    for path in Path(host["root"], "monitoring/secrets/reader").iterdir():
        assert path.stat().st_mode & 0o777 == 0o400


def test_what_was_changed_follows_and_what_nobody_names_goes(watch, host):
    watch.secrets(host, check=False)
    Path(host["root"], ".env").write_text("A='new'\n")
    assert watch.secrets(host, check=True) is True
    watch.secrets(host, check=False)
    assert held(host) == {"A": "new"}


def test_env_is_read_as_the_playbooks_read_it(watch, plugin):
    unquote = plugin("module_utils", "env_reader").unquote
    for raw in ("'x'", '"a\\"b\\$c"', "plain", "''", "'it'", '"\\\\"'):
        assert watch.value_of(f"N={raw}\n", "N") == unquote(raw), raw


def test_an_engine_that_does_not_answer_leaves_the_files_to_grow_old(watch, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(watch, "ENGINE", str(tmp_path / "nobody.sock"))
    (tmp_path / "release.json").write_text(json.dumps(RELEASE))
    watch.look({"root": str(tmp_path), "project": "x", "infrastructure": [], "scrapes": {}})
    assert "does not say what runs" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["release.json"]
