"""Laws of the workflows: what they do is in make targets and scripts, and they may do no more than they must."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github/workflows").glob("*.y*ml"))
TABLE = ROOT / "docs/reference/ci-secrets.md"
VPS = {"VPS_HOST", "VPS_USER", "VPS_SSH_KEY", "VPS_KNOWN_HOSTS", "VPS_DEPLOY_PATH"}
DEPLOYS = {"deploy-staging": "staging", "deploy-prod": "production", "rollback-prod": "production"}
UPKEEP = {"rotate-prod": {"rotate_secrets"}, "upkeep-prod": {"drift", "audit"}}
# What a job may do beyond reading the code; only images.yml may sign and push.
MORE = {"images.yml": {"packages": "write", "id-token": "write"}, "deploy-staging.yml": {"packages": "read"}}
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
every_deploy = pytest.mark.parametrize("name", DEPLOYS)


def read(path: Path) -> dict[str, Any]:
    """The workflow; the key `on`, which YAML reads as true, by its name."""
    content = yaml.safe_load(path.read_text())
    return {("on" if key is True else key): value for key, value in content.items()}


def workflow(name: str) -> dict[str, Any]:
    return read(ROOT / f".github/workflows/{name}.yml")


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in read(path)["jobs"].values():
        yield from job.get("steps", [])


def deploy_job(name: str) -> dict[str, Any]:
    [job] = [job for job in workflow(name)["jobs"].values() if "environment" in job]
    return job


def used(kind: str) -> set[str]:
    """Names of secrets or variables in all the workflows."""
    return {name for path in FILES for name in re.findall(rf"\b{kind}\.([A-Z][A-Z0-9_]*)", path.read_text())}


def test_the_workflows_of_the_manual_are_there() -> None:
    assert {path.stem for path in FILES} == {"ci", "images", "outside", *DEPLOYS, *UPKEEP}


@every_file
def test_every_action_is_a_commit_with_its_tag_beside_it(path: Path) -> None:
    for line in re.findall(r"uses: *(.+)", path.read_text()):
        local = re.fullmatch(r"\./(\.github/workflows/[a-z-]+\.yml)", line)
        assert (local and (ROOT / local[1]).is_file()) or re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d\S*", line)


@every_file
def test_what_runs_is_a_make_target_or_a_script_of_ci(path: Path) -> None:
    for step in steps(path):
        if "run" not in step:
            continue
        words = re.sub(r"^sudo env .*? (?=make )", "", step["run"].strip())
        assert "\n" not in words, words
        if words.startswith("make "):
            assert words.split()[1] in TARGETS, words
        elif not words.startswith("sudo chown "):
            script = ROOT / words.split()[0]
            assert script.parent == ROOT / ".ci" and os.access(script, os.X_OK), words


@every_file
def test_nothing_from_outside_is_written_into_a_command(path: Path) -> None:
    assert [step["run"] for step in steps(path) if "${{" in step.get("run", "")] == []


@every_file
def test_a_workflow_reads_the_code_and_a_job_says_what_else_it_must(path: Path) -> None:
    content = read(path)
    assert content["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in content["on"]
    for name, job in content["jobs"].items():
        more = {key: value for key, value in job.get("permissions", {}).items() if (key, value) != ("contents", "read")}
        if job.get("uses", "").endswith("/images.yml"):
            assert more == MORE["images.yml"], name
        elif more:
            assert more == MORE.get(path.name, {"packages": "read"}), name


@every_file
def test_a_checkout_keeps_no_credentials_and_a_job_ends(path: Path) -> None:
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    assert [
        name for name, job in read(path)["jobs"].items() if "uses" not in job and "timeout-minutes" not in job
    ] == []


def test_every_secret_and_variable_is_in_the_manuals_table_and_no_other() -> None:
    listed = re.findall(r"^\| `([A-Z][A-Z0-9_]*)` \| (secret|variable)\b", TABLE.read_text(), re.MULTILINE)
    assert {name for name, kind in listed if kind == "secret"} == used("secrets")
    assert {name for name, kind in listed if kind == "variable"} == used("vars")
    assert used("secrets") == VPS | {"REGISTRY_TOKEN", "OUTSIDE_ALERT_URL"}


def test_only_a_deploy_gets_the_hosts_secrets_and_only_in_the_step_that_deploys() -> None:
    for path in FILES:
        for name, job in read(path)["jobs"].items():
            holders = [step for step in job.get("steps", []) if "secrets.VPS_" in str(step)]
            assert bool(holders) == ("environment" in job), name
            outside = {key: value for key, value in job.items() if key != "steps"}
            assert len(holders) <= 1 and "secrets.VPS_" not in str(outside), name


@every_deploy
def test_a_deploy_goes_through_the_one_script_into_its_own_environment(name: str) -> None:
    job, environment = deploy_job(name), DEPLOYS[name]
    [step] = [step for step in job["steps"] if str(step.get("run", "")).startswith(".ci/deploy ")]
    verb = "rollback" if name == "rollback-prod" else "deploy"
    assert step["run"] == f".ci/deploy {verb} inventories/{environment}"
    assert job["environment"] == environment
    given = step["env"]
    assert {key: value for key, value in given.items() if key in VPS} == {
        key: f"${{{{ secrets.{key} }}}}" for key in VPS
    }
    # A push to develop has nobody to ask for a lock's token.
    assert set(given) - VPS == ({"IMAGE_COMMIT"} if environment == "staging" else {"IMAGE_TAG", "BREAK_LOCK"})
    assert job["env"]["SIGNED_BRANCHES"] == ("develop" if environment == "staging" else "main")


@pytest.mark.parametrize("name", UPKEEP)
def test_upkeep_goes_the_same_way_by_hand_or_where_a_variable_says_so(name: str) -> None:
    content = workflow(name)
    assert set(content["on"]) == {"schedule", "workflow_dispatch"}
    runs = set()
    for job in content["jobs"].values():
        assert job["environment"] == "production-upkeep" and "_ON_SCHEDULE == 'yes'" in job["if"]
        runs.add(job["steps"][-1]["run"])
    assert runs == {f".ci/deploy {verb} inventories/production" for verb in UPKEEP[name]}


@every_deploy
def test_two_deploys_queue_and_none_is_cancelled(name: str) -> None:
    assert deploy_job(name)["concurrency"] == {"group": DEPLOYS[name], "cancel-in-progress": False}


def test_staging_follows_develop_and_production_wants_a_person() -> None:
    assert workflow("deploy-staging")["on"] == {"push": {"branches": ["develop"]}}
    [(event, asked)] = workflow("deploy-prod")["on"].items()
    assert event == "workflow_dispatch" and asked["inputs"]["image_tag"]["required"] is True
    [(event, asked)] = workflow("rollback-prod")["on"].items()
    assert event == "workflow_dispatch" and asked["inputs"]["previous_tag"]["required"] is False


def test_staging_deploys_the_images_of_its_own_commit() -> None:
    jobs = workflow("deploy-staging")["jobs"]
    assert jobs["images"]["uses"] == "./.github/workflows/images.yml"
    assert jobs["deploy"]["needs"] == "images"
    assert jobs["deploy"]["steps"][-1]["env"]["IMAGE_COMMIT"] == "${{ github.sha }}"


def test_images_pass_the_gates_and_the_scan_before_they_are_pushed() -> None:
    jobs = workflow("images")["jobs"]
    assert jobs["gates"]["uses"] == "./.github/workflows/ci.yml" and jobs["images"]["needs"] == "gates"
    runs = [step["run"] for step in jobs["images"]["steps"] if "run" in step]
    assert runs == ["make images", "make scan-images", ".ci/registry-login", "make ship-images"]
    assert workflow("images")["on"]["push"] == {"branches": ["main"]}


def test_a_pull_request_passes_every_gate() -> None:
    assert "pull_request" in workflow("ci")["on"]
    runs = " ".join(str(step.get("run")) for step in steps(ROOT / ".github/workflows/ci.yml"))
    gates = ("lint", "test-fast", "check-migrations", "audit", "images", "scan-images", "test")
    assert [gate for gate in gates if f"make {gate}" not in runs] == []
    assert ".ci/lint secrets" in runs


def test_no_hosts_key_is_taken_on_trust_and_no_workflow_sends_the_note() -> None:
    scripts = [path for path in (ROOT / ".ci").rglob("*") if path.suffix in ("", ".py", ".sh") and path.is_file()]
    for path in [*FILES, *scripts]:
        text = path.read_text()
        assert not re.search(r"StrictHostKeyChecking[= ]\"?(no|accept-new)", text), path
        assert not re.search(r"^[^#`]*ssh-keyscan", re.sub(r"\(`ssh-keyscan.*?`", "", text), re.MULTILINE), path
        assert "telegram" not in text.lower(), path
