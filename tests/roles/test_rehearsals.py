"""Which record of a rehearsal allows a switch elsewhere: this version's, not too old, signed by somebody who may."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.rehearsing import IMAGE, OTHER, WHO, Rehearsed, let_sign, line, new_key


@pytest.fixture
def rehearsals(plugin):
    return plugin("module_utils", "rehearsals")


@pytest.fixture
def rehearsed(tmp_path):
    signers, key = tmp_path / "allowed_signers", new_key(tmp_path, "ci")
    let_sign(signers, key)
    return Rehearsed(tmp_path / "rehearsals", signers, key)


@pytest.fixture
def found(rehearsals, rehearsed):
    def look(image: str = IMAGE, days: float = 30):
        return rehearsals.allowing(rehearsed.records, rehearsed.signers, image, days=days)

    return look


def test_a_record_of_this_version_allows_and_says_who_signed_it(rehearsed, found):
    path = rehearsed.record()
    assert (found()["signed"], found()["path"]) == (WHO, str(path))


def test_the_name_that_a_registry_has_for_an_image_does_not_matter_but_its_digest_does(rehearsed, found):
    rehearsed.record(image=IMAGE.replace("ghcr.io", "registry.staging:5000"))
    assert found()["image"].startswith("registry.staging:5000/")


def test_the_newest_of_several_counts(rehearsed, found):
    paths = [rehearsed.record(days_ago=days) for days in (3, 1, 2)]
    rehearsed.record(image=OTHER, days_ago=0.1)
    assert found()["path"] == str(paths[1])


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"image": OTHER}, "it is another version's, sha256:bbbb"),
        ({"image": "ghcr.io/example/controlplane:latest"}, "of no digest"),
        ({"days_ago": 31}, "more than 30 days ago"),
        ({"days_ago": -1}, "which is yet to come"),
        ({"proof": {"verdict": "no-go"}}, "its proofs say no-go, no-go"),
        ({"proof": None}, "it is no record of a cutover"),
        ({"at": "yesterday"}, "it is no record of a cutover"),
        ({"at": "2026-11-28T05:00:00"}, "it is no record of a cutover"),
    ],
)
def test_a_record_of_something_else_is_none(rehearsals, rehearsed, found, facts, said):
    rehearsed.record(**facts)
    with pytest.raises(rehearsals.NoRecord, match=said):
        found()


def forged(rehearsed):
    path = rehearsed.record(image=OTHER)
    path.write_text(path.read_text().replace(OTHER, IMAGE))


def unsigned(rehearsed):
    rehearsed.record().with_suffix(".json.sig").unlink()


def anothers_signature(rehearsed):
    """That of the same key, under another record."""
    other = rehearsed.record(image=OTHER).with_suffix(".json.sig").read_bytes()
    rehearsed.record().with_suffix(".json.sig").write_bytes(other)


def for_something_else(rehearsed):
    path = rehearsed.record()
    signature = path.with_suffix(".json.sig")
    signature.unlink()
    command = ["ssh-keygen", "-Y", "sign", "-q", "-f", rehearsed.key, "-n", "git", path]
    subprocess.run(command, check=True, capture_output=True)


def by_a_stranger(rehearsed):
    rehearsed.record(key=new_key(rehearsed.signers.parent, "stranger"))


@pytest.mark.parametrize("spoilt", [forged, unsigned, anothers_signature, for_something_else, by_a_stranger])
def test_a_signature_that_is_none_is_believed_nothing(rehearsals, rehearsed, found, spoilt):
    spoilt(rehearsed)
    with pytest.raises(rehearsals.NoRecord, match=r"signed it as it is|it is not signed"):
        found()


def test_without_a_list_of_signers_nobodys_signature_counts(rehearsals, rehearsed, found):
    rehearsed.record()
    rehearsed.signers.unlink()
    with pytest.raises(rehearsals.NoRecord, match="says whose signature counts"):
        found()


def test_a_key_that_wants_a_passphrase_is_said_and_not_asked_for(rehearsals, rehearsed, tmp_path):
    locked = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret words", "-f", locked], check=True)
    with pytest.raises(rehearsals.NoRecord, match="locked does not sign"):
        rehearsed.record(key=locked)
    assert not rehearsed.records.exists()


@pytest.mark.parametrize(
    ("switch", "revert", "said"),
    [
        ({}, line("revert"), "no switch of this cutover"),
        (line("switch", verdict="failed"), line("revert"), "no switch of this cutover"),
        (line("switch"), line("revert", verdict="failed"), "no switch of this cutover"),
        (line("switch", image=OTHER), line("revert"), "must be one version"),
        (line("switch", days_ago=2), line("revert"), "two cutovers"),
    ],
)
def test_only_a_switch_and_a_revert_of_one_version_make_a_record(rehearsals, switch, revert, said):
    with pytest.raises(rehearsals.NoRecord, match=said):
        rehearsals.record_of(switch, revert, {"inventory": "staging", "host": "vps"})


def test_a_record_says_what_passed_when_and_by_whom(rehearsed):
    record = json.loads(rehearsed.record().read_text())
    assert (record["inventory"], record["host"]) == ("staging", "vps")
    assert (record["version"], record["image"]) == ("sha-1", IMAGE)
    assert record["switch"]["frozen_seconds"] == 3.5 and record["revert"]["by"] == "ada"
