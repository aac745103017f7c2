"""Images that must never serve: the run fails and says why, and the version before serves on as if nothing had been."""

from __future__ import annotations

import json
import re
from concurrent.futures import Future

import pytest
import yaml

from tests.lab import Host, Lab
from tests.lab.fullness import full
from tests.lab.playbook import OLD, OLD_DOMAIN, ROOT, Run, ansible, succeeded, towards
from tests.lab.serving import log, refused, settled

# An image that never becomes well is not waited for longer than this; one that is becomes so within the default.
QUICK = ["-e", "deploy_healthy_seconds=8"]
SOON = ["-e", "deploy_probe_seconds=4"]
# The control plane with a readiness that is never up; alive, and healthy to its own check.
NEVER_READY = """\
RUN sed -i 's/^    good = .*/    good = False/' /app/webapp/health/routes.py \\
    && /opt/venv/bin/python3 -m compileall -q -f --invalidation-mode unchecked-hash /app/webapp/health
"""


@pytest.mark.parametrize(
    ("product", "kind", "words"),
    [
        pytest.param("controlplane", "never-healthy", "Not well, after up to 8 s", marks=full),
        pytest.param("controlplane", "crash-loop", "practice: this one ends at once", marks=full),
        pytest.param("controlplane", "failing-setup", "practice: this one cannot migrate", marks=full),
        # Found out by the slot itself, before any request went there; and after the switch, which is taken back.
        ("frontend", "wrong-answer", "no request was sent to it: frontend-"),
        ("controlplane", "failing-smoke", "practice: this one finds nothing behind it"),
    ],
)
def test_a_broken_image_changes_nothing(lab: Lab, site: Host, product: str, kind: str, words: str):
    tag = f"sha-{product}-{kind}"
    lab.broken(tag, product, kind)
    patience = QUICK if kind in ("never-healthy", "crash-loop") else []
    run = refused(lab, site, "deploy", "-e", f"image_tag={tag}", *SOON, *patience)
    assert f"Release of {tag} " in run.words and "what ran before serves on" in run.words
    assert words in run.words
    if kind != "failing-setup":
        assert re.search(r"last_log_lines:\s+- \S", run.output), run.output
    assert log(site)[-1]["tag"] == tag


def test_an_image_that_lives_and_is_never_ready_changes_nothing(lab: Lab, site: Host):
    lab.variant("sha-never-ready", "controlplane", "sha-one", NEVER_READY)
    run = refused(lab, site, "deploy", "-e", "image_tag=sha-never-ready", *SOON)
    assert "/api/v1/health/ready" in run.words
    assert re.search(r"last_log_lines:\s+- \S", run.output), run.output


@full
def test_a_tag_that_the_registry_does_not_have_changes_nothing(lab: Lab, site: Host):
    run = refused(lab, site, "deploy", "-e", "image_tag=sha-nowhere")
    assert "The tag sha-nowhere of" in run.words and "cannot be had" in run.words
    assert "sha-nowhere" in log(site)[-1]["reason"]


@full
def test_a_digest_that_the_registry_does_not_have_changes_nothing(lab: Lab, site: Host):
    services = yaml.safe_load((ROOT / "inventories/lab/group_vars/moorage/stack.yml").read_text())["stack_services"]
    image = f"{services['frontend']['image']}@sha256:{'0' * 64}"
    services["frontend"]["image"] = image
    run = refused(lab, site, "deploy", "-e", json.dumps({"stack_services": services}))
    assert f"{image} cannot be had" in run.words
    assert image in log(site)[-1]["reason"]
    settled(lab, site)


@full
def test_a_pull_that_fills_the_disk_changes_nothing_and_room_is_all_it_takes(
    lab: Lab, site: Host, beside: Future[Run]
) -> None:
    succeeded(beside.result(timeout=600))
    bookworm = lab.hosts[OLD]
    lab.variant("sha-large", "frontend", "sha-one", "RUN head -c 60000000 /dev/urandom > /srv/ballast")
    filler, room = "/var/lib/docker/filler", 20_000_000
    free = int(bookworm.exec("df", "--output=avail", "-B1", "/var/lib/docker").split()[1])
    bookworm.exec("fallocate", "-l", str(free - room), filler)
    release = ["deploy", *towards(bookworm), "-e", "image_tag=sha-large"]
    try:
        run = refused(lab, bookworm, *release, domain=OLD_DOMAIN)
        assert "The tag sha-large of" in run.words and "no space left on device" in run.words
    finally:
        bookworm.exec("rm", filler)
    succeeded(ansible(lab, *release))
    assert log(bookworm)[-1]["tag"] == "sha-large"
