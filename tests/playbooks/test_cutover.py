"""No step of a cutover on a host that was not meant, and no switch that was not rehearsed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.playbooks.machine import change, make_inventory, play, words
from tests.rehearsing import IMAGE, OTHER, WHO, Rehearsed, let_sign, new_key

LOCAL = ("-e", "ansible_connection=local", "-e", "ansible_become=false")
SWITCH = ("cutover_step=switch", "cutover_host=vps")
CHANGE = ("cutover_change=changes/x.yml", "cutover_host=vps")
STAGES = """
gate: [moorage, health]
switch: [moorage, setup]
verify: [moorage, smoke]
revert: [moorage, setup, --json]
"""


@pytest.fixture
def host(tmp_path):
    """This machine, as a host that serves: its stack's folder has a release."""
    stack = tmp_path / "stack"
    stack.mkdir()
    unit = {"active": "blue", "images": {"blue": IMAGE}, "tags": {"blue": "sha-1"}}
    (stack / "release.json").write_text(json.dumps({"number": 3, "tag": "sha-1", "units": {"controlplane": unit}}))
    inventory = make_inventory(tmp_path / "inventories" / "production")
    change(inventory, "stack", stack_root=str(stack))
    (inventory / "changes").mkdir()
    return inventory


@pytest.fixture
def rehearsed(host, tmp_path):
    """Where this inventory looks for records unless told."""
    key = new_key(tmp_path, "ci")
    let_sign(host / "allowed_signers", key)
    return Rehearsed(host.parent / "rehearsals", host / "allowed_signers", key)


def cut_over(inventory: Path, *given: str) -> subprocess.CompletedProcess[str]:
    """What a run in check mode says: it takes no step, and refuses as one that does."""
    extra = [word for one in given for word in ("-e", one)]
    return play("-i", inventory, "playbooks/cutover.yml", "--check", *LOCAL, *extra)


def refused(inventory: Path, *given: str) -> str:
    done = cut_over(inventory, *given)
    assert done.returncode != 0 and "Would run" not in done.stdout, words(done)
    return words(done)


def passed(inventory: Path, *given: str) -> str:
    done = cut_over(inventory, *given)
    assert done.returncode == 0, words(done)
    return words(done)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "Say one thing to do"),
        (["cutover_step=swtich", "cutover_host=vps"], "(not swtich)"),
        (["cutover_step=begin"], "`-e cutover_host=vps` (it is not given)"),
        (["cutover_step=begin", "cutover_host=vps,other"], "(it is vps,other)"),
        (CHANGE[:1], "`-e cutover_host=vps` (it is not given)"),
    ],
)
def test_what_is_not_said_in_full_is_refused(host, given, said):
    assert said in refused(host, *given)


def test_of_two_hosts_none_is_taken_for_the_other(host):
    (host / "hosts.yml").write_text("moorage: {hosts: {vps: {}, other: {}}}\n")
    said = refused(host, "cutover_step=begin", "cutover_host=vps")
    assert "This changes something on vps, other" in said and "--limit vps" in said


def test_a_host_that_serves_nothing_is_refused(host, tmp_path):
    (tmp_path / "stack/release.json").write_text('{"units": {}}')
    assert "run playbooks/deploy.yml first" in refused(host, "cutover_step=plan")


def test_what_only_looks_wants_no_host_typed(host):
    assert "Would run: moorage cutover verify --source rtdb" in passed(host, "cutover_step=verify")


def test_a_switch_that_was_rehearsed_is_let_pass(host, rehearsed):
    path = rehearsed.record()
    said = passed(host, *SWITCH)
    assert f"Rehearsed on staging at {json.loads(path.read_text())['at']}, signed by {WHO}: {path}" in said
    assert "Would run: moorage cutover switch --freeze 600" in said


def test_a_rehearsal_itself_wants_no_record(host):
    change(host, "cutover", cutover_is_rehearsal=True)
    assert "Would run: moorage cutover switch" in passed(host, *SWITCH)


def test_production_without_a_record_is_refused(host, rehearsed):
    said = refused(host, *SWITCH)
    assert f"No rehearsal allows {IMAGE} to switch here: there is none in" in said and "Nothing was changed." in said


def test_records_of_another_version_expired_or_forged_are_refused(host, rehearsed):
    rehearsed.record(image=OTHER)
    rehearsed.record(days_ago=8)
    forged = rehearsed.record(image=OTHER, days_ago=2)
    forged.write_text(forged.read_text().replace(OTHER, IMAGE))
    said = refused(host, *SWITCH, "cutover_record_days=7")
    assert "it is another version's, sha256:bbbb" in said and "more than 7 days ago" in said
    assert f"{forged.name}: nobody of {rehearsed.signers} signed it as it is" in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (STAGES.partition("revert")[0], "missing required arguments: revert"),
        (STAGES + "undo: [moorage, setup]\n", "it has undo"),
        ("- gate\n", "is no change"),
    ],
)
def test_a_staged_change_that_does_not_say_everything_is_refused(host, content, said):
    (host / "changes/x.yml").write_text(content)
    assert said in refused(host, *CHANGE)


def test_a_staged_change_says_what_it_would_run(host):
    (host / "changes/x.yml").write_text(STAGES)
    said = passed(host, *CHANGE)
    at = [said.index(f"Would run: moorage {word}") for word in ("health", "setup", "smoke")]
    assert at == sorted(at) and "setup --json" not in said
