"""What is decided on the way from a commit to a signed image."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from shipping import Refused
from shipping.cosign import digest_signed, signer, transport
from shipping.engine import digest_in
from shipping.products import (
    REGISTRY,
    TAG,
    Product,
    arguments_of,
    bases_of,
    checked,
    declared,
    short_tag,
)
from shipping.provenance import predicate
from shipping.record import Built, load
from shipping.trivy import findings, verdict

ROOT = Path(__file__).resolve().parents[3]
DIGEST = f"sha256:{'a' * 64}"
GITHUB = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "example/pro.duct",
    "GITHUB_RUN_ID": "7",
    "GITHUB_REF": "refs/heads/main",
    "GITHUB_WORKFLOW_REF": "example/pro.duct/.github/workflows/images.yml@refs/heads/main",
}


@pytest.fixture
def built(tmp_path: Path) -> Built:
    bases = {"BASE_IMAGE": f"docker.io/library/python@{DIGEST}", "OTHER_IMAGE": "docker.io/library/caddy:2.11"}
    times = {"started": "2026-11-21T04:00:00Z", "finished": "2026-11-21T04:01:00Z"}
    return Built("shop", "sha-1a2b3c4", "1a2b3c4d", True, "Dockerfile", bases, **times, folder=tmp_path)


def test_every_declared_image_has_its_dockerfile_and_every_base_its_line() -> None:
    everything = declared()
    assert {product.name for product in everything.products} >= {"controlplane", "frontend"}
    for product in everything.products:
        assert set(product.bases.values()) <= set(everything.pins), product.name


def test_make_pin_finds_the_bases() -> None:
    command = [sys.executable, ROOT / ".ci/pin.py", "--check", ROOT / ".ci/images.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr


def test_a_file_of_another_form_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "images.yml"
    path.write_text("images: [shop]\n")
    with pytest.raises(Refused, match=r"images\.yml needs"):
        declared(path)


def test_bases_are_the_arguments_that_name_images() -> None:
    text = "ARG BASE_IMAGE=docker.io/library/python:3.13\nARG VERSION=dev\nFROM ${BASE_IMAGE}\n"
    assert bases_of(text) == {"BASE_IMAGE": "docker.io/library/python:3.13"}


def test_a_base_is_the_one_given_else_the_pinned_one_and_a_mere_tag_is_told() -> None:
    product = Product("controlplane", "webapp/Dockerfile", ".")
    [(argument, image)] = product.bases.items()
    pinned = f"docker.io/library/python@{DIGEST}"
    assert arguments_of(product, {image: pinned}, {}) == ({argument: pinned}, [])
    assert arguments_of(product, {image: ""}, {}) == ({argument: image}, [image])
    assert arguments_of(product, {image: pinned}, {argument: "lab/python:1"})[0] == {argument: "lab/python:1"}


def test_the_tag_of_a_commit_has_seven_digits() -> None:
    assert short_tag("1a2b3c4d5e6f") == "sha-1a2b3c4"


@pytest.mark.parametrize("word", ["sha-1;id", "", "a/b", "-x"])
def test_a_word_that_is_no_tag_gets_no_further(word: str) -> None:
    with pytest.raises(Refused):
        checked(TAG, word, "an image tag")


@pytest.mark.parametrize("word", ["ghcr.io/example/product", "127.0.93.1:5000/moorage", "localhost:5000"])
def test_registries_have_a_path_and_a_port_or_none(word: str) -> None:
    assert checked(REGISTRY, word, "a registry") == word


@pytest.mark.parametrize("word", ["ghcr.io/$(id)", "ghcr.io/example/", "https://ghcr.io", "-f"])
def test_what_is_no_registry_gets_no_further(word: str) -> None:
    with pytest.raises(Refused):
        checked(REGISTRY, word, "a registry")


def test_what_was_built_is_found_again_and_has_no_reference_before_its_push(built: Built) -> None:
    built.save()
    found = load("shop", "sha-1a2b3c4", built.folder)
    assert found == built
    with pytest.raises(Refused, match="has not been pushed"):
        _ = found.reference
    assert found.pushed("ghcr.io/example", DIGEST).reference == f"ghcr.io/example/shop@{DIGEST}"
    with pytest.raises(Refused, match="make images TAG=other"):
        load("shop", "other", built.folder)


def test_the_digest_is_what_the_push_ended_with() -> None:
    assert digest_in(f"a: Pushed\nsha-1: digest: {DIGEST} size: 1234\n", "x") == DIGEST
    with pytest.raises(Refused, match="names no digest"):
        digest_in("a: Pushed\n", "x")


def test_provenance_names_the_commit_the_bases_and_who_built(built: Built) -> None:
    document = predicate(built, GITHUB)
    definition, details = document["buildDefinition"], document["runDetails"]
    assert definition["resolvedDependencies"] == [
        {"uri": "git+https://github.com/example/pro.duct", "digest": {"gitCommit": "1a2b3c4d"}},
        {"uri": "docker://docker.io/library/python", "digest": {"sha256": "a" * 64}},
        {"uri": "docker://docker.io/library/caddy:2.11"},
    ]
    assert definition["externalParameters"]["ref"] == "refs/heads/main"
    assert details["builder"]["id"].endswith("/.github/workflows/images.yml@refs/heads/main")
    assert details["metadata"]["invocationId"] == "https://github.com/example/pro.duct/actions/runs/7"


def test_provenance_of_a_laptop_claims_no_more_than_it_knows(built: Built) -> None:
    document = predicate(replace(built, clean=False), {})
    assert document["runDetails"]["builder"]["id"] == "file:machine"
    assert document["buildDefinition"]["internalParameters"] == {"cleanWorkTree": False}


def test_a_key_signs_outside_github_and_nothing_goes_to_a_public_log() -> None:
    who = signer({"SIGNING_KEY": "k.key", "VERIFY_KEY": "k.pub"})
    assert who.signing == ("--yes", "--key", "k.key", "--tlog-upload=false")
    assert who.verifying == ("--key", "k.pub", "--insecure-ignore-tlog")


def test_on_github_only_this_repositorys_workflow_of_these_branches_counts() -> None:
    who = signer({**GITHUB, "SIGNED_BRANCHES": "main, develop"})
    assert who.signing == ("--yes",)
    identity = dict(zip(who.verifying[::2], who.verifying[1::2], strict=True))["--certificate-identity-regexp"]
    repository = r"^https://github\.com/example/pro\.duct"
    assert identity == repository + r"/\.github/workflows/images\.yml@refs/heads/(main|develop)$"


def test_without_a_key_or_a_branch_nobodys_signature_counts() -> None:
    assert signer(GITHUB).verifying == () and signer({"SIGNED_BRANCHES": "main"}).verifying == ()


def test_only_loopback_may_speak_http() -> None:
    assert transport("127.0.93.1:5000/shop") and transport("localhost:5000/shop")
    assert not transport("ghcr.io/shop") and not transport("registry.example:5000/127.0.0.1")


def test_signatures_are_about_one_digest() -> None:
    def about(digest: str) -> dict[str, object]:
        return {"critical": {"image": {"docker-manifest-digest": digest}}}

    assert digest_signed([about(DIGEST), about(DIGEST)], "x") == DIGEST
    for wrong in ([], [about(DIGEST), about("sha256:b")]):
        with pytest.raises(Refused):
            digest_signed(wrong, "x")


def test_a_scan_that_saw_no_package_is_no_clean_bill() -> None:
    ill = {"VulnerabilityID": "CVE-1", "Severity": "HIGH", "PkgName": "a", "InstalledVersion": "1", "FixedVersion": "2"}
    assert verdict({}) == (0, [])
    assert verdict({"Results": [{"Packages": [{}, {}]}, {"Class": "config"}]}) == (2, [])
    assert verdict({"Results": [{"Packages": [{}], "Vulnerabilities": [ill, ill]}]}) == (1, ["CVE-1 high: a 1 → 2"])


def test_a_finding_is_told_by_place_and_kind_and_a_secret_never_by_itself() -> None:
    secret = {"RuleID": "private-key", "Title": "Asymmetric Private Key", "StartLine": 1, "Match": "SECRET"}
    wrong = {"ID": "DS-0002", "Severity": "HIGH", "Title": "Image user should not be root", "Status": "FAIL"}
    slight = {**wrong, "Severity": "LOW"}
    results = [
        {"Target": "/srv/id_rsa", "Secrets": [secret]},
        {"Target": "Dockerfile", "Misconfigurations": [wrong, {**wrong, "Status": "PASS"}, slight]},
        {"Target": "python"},
    ]
    assert findings({"Results": results}) == [
        "/srv/id_rsa, line 1: Asymmetric Private Key",
        "Dockerfile: DS-0002 high: Image user should not be root",
    ]
    assert findings({}) == []
