"""From a tree to a host as CI does it: built, signed, verified, deployed by digest; what is not signed goes nowhere."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Host, Lab, machine
from tests.lab.fullness import full
from tests.lab.playbook import ROOT, TRANSCRIPT, ansible
from tests.lab.product import PRODUCTS, _bases

NAMES = tuple(product.name for product in PRODUCTS)
Done = subprocess.CompletedProcess


@dataclass(frozen=True)
class Pipeline:
    """The steps of the workflows on this machine, with the lab's registry and a key in place of GitHub's identity."""

    lab: Lab
    keys: Path
    tag: str

    @property
    def registry(self) -> str:
        return f"{self.lab.registry.outside}/moorage"

    @property
    def environment(self) -> dict[str, str]:
        binaries = Path(sys.executable).parent
        return self.lab.engine.environment | {
            "DOCKER": self.lab.engine.client,
            "PATH": f"{binaries}:{os.environ['PATH']}",
            "COSIGN_PASSWORD": "",
            "SIGNING_KEY": str(self.keys / "cosign.key"),
            "VERIFY_KEY": str(self.keys / "cosign.pub"),
            "NO_COLOR": "1",
            "ANSIBLE_FORCE_COLOR": "0",
        }

    def run(self, *command: str | Path, **environment: str) -> Done[str]:
        """A step, as a workflow runs it."""
        done = subprocess.run(
            list(map(str, command)),
            cwd=ROOT,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        TRANSCRIPT.append(done.stdout)
        return done

    def cosign(self, *words: str) -> Done[str]:
        """cosign on the lab's registry."""
        plain = ["--allow-http-registry", "--allow-insecure-registry"]
        return self.run(".ci/cosign", words[0], *plain, *words[1:])

    def deploy(self, verb: str, tag: str = "", **environment: str) -> Done[str]:
        """`.ci/deploy` with the secrets of a workflow, against the lab's host."""
        host = self.lab.hosts["vps"]
        secrets = {
            "VPS_HOST": host.address,
            "VPS_USER": "deploy",
            "VPS_SSH_KEY": host.key.private.read_text(),
            "VPS_KNOWN_HOSTS": host.known_hosts.read_text(),
            "IMAGE_TAG": tag,
        }
        # The host knows the registry by its name on the bridge, this machine by its address on loopback.
        command = [".ci/deploy", verb, "inventories/lab"]
        command += ["--registry-at", f"{self.lab.registry.name}={self.lab.registry.outside}"]
        return self.run(*command, "--", "-e", f"@{self.lab.folder}/generated.yml", **{**secrets, **environment})


@pytest.fixture(scope="module")
def pipeline(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    keys = tmp_path_factory.mktemp("keys")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    made = Pipeline(lab, keys, f"sha-{head[:7]}")
    prefix = ["--output-key-prefix", str(keys / "cosign")]
    assert made.run(".ci/cosign", "generate-key-pair", *prefix).returncode == 0
    return made


@pytest.fixture(scope="module")
def shipped(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Digests of what `make images` built on the lab's stand-ins, and pushed."""
    words = []
    for product in PRODUCTS:
        bases = _bases(pipeline.lab.engine, (ROOT / product.dockerfile).read_text())
        words += [f"--build-arg {name}={image}" for name, image in bases.items()]
    for name, content in machine.build_secrets().items():
        path = tmp_path_factory.mktemp("secrets") / name
        path.write_text(content)
        words.append(f"--secret id={name},src={path}")
    given = [f"TAG={pipeline.tag}", f"REGISTRY={pipeline.registry}", "LATEST=main-latest", f"BUILD={' '.join(words)}"]
    done = pipeline.run("make", "images", *given)
    assert done.returncode == 0, done.stdout
    verified = pipeline.run("make", "-s", "verify-image", f"TAG={pipeline.tag}", f"REGISTRY={pipeline.registry}")
    assert verified.returncode == 0, verified.stdout
    yield dict(json.loads(verified.stdout.splitlines()[-1]))
    pipeline.lab.engine.attempt("rmi", *(f"moorage/{name}:{pipeline.tag}" for name in NAMES))


def statement(pipeline: Pipeline, reference: str, kind: str) -> dict[str, Any]:
    """The in-toto statement that is attached to an image."""
    verifying = ["--key", pipeline.environment["VERIFY_KEY"], "--insecure-ignore-tlog"]
    done = pipeline.cosign("verify-attestation", "--type", kind, *verifying, reference)
    assert done.returncode == 0, done.stdout
    envelope = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    return dict(json.loads(base64.b64decode(envelope["payload"])))


def test_both_tags_are_what_was_signed(pipeline: Pipeline, shipped: dict[str, str]) -> None:
    registry = pipeline.lab.registry
    # What backs up is of the stack, and pinned like the database; it goes out with no tag.
    assert set(shipped) == {*NAMES, "backup"}
    for name, digest in shipped.items():
        tags = (pipeline.tag, "main-latest")
        assert [registry.digest(f"moorage/{name}", tag) for tag in tags] == [digest, digest]


def test_an_image_carries_what_it_is_made_of_and_where_it_came_from(
    pipeline: Pipeline, shipped: dict[str, str]
) -> None:
    reference = f"{pipeline.registry}/controlplane@{shipped['controlplane']}"
    bill = statement(pipeline, reference, "cyclonedx")
    assert {"flask", "gunicorn"} <= {part["name"].lower() for part in bill["predicate"]["components"]}
    provenance = statement(pipeline, reference, "slsaprovenance1")
    assert provenance["subject"][0]["digest"]["sha256"] == shipped["controlplane"].removeprefix("sha256:")
    definition = provenance["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"][0]["digest"]["gitCommit"].startswith(pipeline.tag.removeprefix("sha-"))


@full
def test_a_scan_without_data_is_no_clean_bill(pipeline: Pipeline, shipped: dict[str, str], tmp_path: Path) -> None:
    nowhere = {"TRIVY_CACHE_DIR": str(tmp_path), "TRIVY_DB_REPOSITORY": "127.0.0.1:9/none"}
    done = pipeline.run("make", "scan-images", f"TAG={pipeline.tag}", **nowhere)
    assert done.returncode != 0
    assert done.stdout.count("was not scanned for vulnerabilities") == len(NAMES), done.stdout


def test_an_image_with_a_key_in_it_goes_no_further(pipeline: Pipeline, tmp_path: Path) -> None:
    engine = pipeline.lab.engine
    key = ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", str(tmp_path / "id_rsa")]
    subprocess.run(key, check=True)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY id_rsa /srv/id_rsa\nUSER 10001\n")
    engine.run("build", "-q", "-t", "moorage/leaky:test", str(tmp_path))
    facts = {"name": "leaky", "tag": "test", "commit": "", "clean": True, "bases": {}, "started": "", "finished": ""}
    program = (
        "import json, sys; from shipping import trivy; from shipping.record import Built;"
        "trivy.look_inside(Built(**json.loads(sys.argv[1])))"
    )
    given = json.dumps({**facts, "dockerfile": str(tmp_path / "Dockerfile")})
    done = pipeline.run(sys.executable, "-c", program, given, PYTHONPATH=str(ROOT / ".ci"))
    engine.run("rmi", "moorage/leaky:test")
    assert done.returncode == 1 and "/srv/id_rsa" in done.stdout, done.stdout


@full
def test_the_registrys_token_is_given_to_the_engine_alone(pipeline: Pipeline, tmp_path: Path) -> None:
    given = {"REGISTRY": pipeline.registry, "REGISTRY_USER": "ci", "REGISTRY_TOKEN": "canary-2f1d"}
    done = pipeline.run(".ci/registry-login", DOCKER_CONFIG=str(tmp_path), **given)
    assert done.returncode == 0 and "canary" not in done.stdout, done.stdout
    assert list(json.loads((tmp_path / "config.json").read_text())["auths"]) == [pipeline.lab.registry.outside]


def test_what_nobody_signed_is_not_deployed(pipeline: Pipeline, site: Host, shipped: dict[str, str]) -> None:
    before = site.exec("cat", "/opt/moorage/release.json")
    done = pipeline.deploy("deploy", "sha-one")
    assert done.returncode == 1 and "Verifying" in done.stdout and "PLAY" not in done.stdout, done.stdout
    assert site.exec("cat", "/opt/moorage/release.json") == before


@full
@pytest.mark.parametrize("source", ["sha-one", "itself"])
def test_an_image_under_a_tag_that_is_not_its_own_is_refused(
    pipeline: Pipeline, shipped: dict[str, str], source: str
) -> None:
    """Tampered with: another image put under a signed tag; and a signed image under another tag."""
    registry, repository = pipeline.lab.registry, "moorage/controlplane"
    moved = pipeline.tag if source == "sha-one" else "sha-moved"
    registry.tag(repository, shipped["controlplane"] if source == "itself" else source, moved)
    try:
        done = pipeline.run("make", "verify-image", f"TAG={moved}", f"REGISTRY={pipeline.registry}")
    finally:
        registry.tag(repository, shipped["controlplane"], pipeline.tag)
    assert done.returncode != 0
    assert "no matching signatures" in done.stdout or "no signatures found" in done.stdout, done.stdout


@full
def test_a_strangers_signature_does_not_count(pipeline: Pipeline, shipped: dict[str, str], tmp_path: Path) -> None:
    pipeline.run(".ci/cosign", "generate-key-pair", "--output-key-prefix", tmp_path / "stranger")
    done = pipeline.deploy("deploy", pipeline.tag, VERIFY_KEY=str(tmp_path / "stranger.pub"))
    assert done.returncode == 1 and "PLAY" not in done.stdout, done.stdout


@full
def test_a_host_with_another_key_is_not_talked_to(pipeline: Pipeline, site: Host, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    other = (tmp_path / "other.pub").read_text()
    done = pipeline.deploy("rollback", VPS_KNOWN_HOSTS=f"{site.address} {other}")
    assert done.returncode != 0 and "Host key verification failed" in done.stdout, done.stdout


@full
def test_a_tag_that_was_moved_after_its_verification_is_not_deployed(
    pipeline: Pipeline, site: Host, shipped: dict[str, str]
) -> None:
    given = {
        "image_tag": "sha-one",
        "image_digests": {f"{pipeline.lab.registry.name}/moorage/controlplane": "sha256:0"},
    }
    before = site.exec("cat", "/opt/moorage/release.json")
    run = ansible(pipeline.lab, "deploy", "--check", "-e", json.dumps(given))
    assert run.code != 0 and "is what was verified" in run.words, run.output[-3000:]
    assert site.exec("cat", "/opt/moorage/release.json") == before


def test_what_was_signed_is_deployed_by_digest_and_back(
    pipeline: Pipeline, site: Host, shipped: dict[str, str]
) -> None:
    def running() -> str:
        return site.exec("docker ps -q | xargs docker inspect -f '{{.Config.Image}}'")

    before = running()
    done = pipeline.deploy("deploy", pipeline.tag)
    assert done.returncode == 0, done.stdout[-4000:]
    assert [name for name in NAMES if f"moorage/{name}@{shipped[name]}" not in running()] == []
    assert json.loads(site.exec("tail", "-n", "1", "/opt/moorage/releases.jsonl"))["tag"] == pipeline.tag
    done = pipeline.deploy("rollback")
    assert done.returncode == 0, done.stdout[-4000:]
    assert sorted(running().split()) == sorted(before.split())
    assert pipeline.lab.hosts["vps"].key.private.read_text() not in "".join(TRANSCRIPT)
