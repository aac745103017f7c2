"""The way back: to what was good, from what the host itself has kept."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.lab import Host, Lab
from tests.lab.fullness import full
from tests.lab.playbook import ROOT, Run, ansible, succeeded
from tests.lab.serving import containers, log, refused, release, settled, unnoticed
from tests.lab.web import Client

CONTROL_PLANE = ("api", "sockets", "worker")


def deployed(lab: Lab, tag: str, *args: str) -> Run:
    """A deploy of a tag that succeeded."""
    return succeeded(ansible(lab, "deploy", "-e", f"image_tag={tag}", *args))


def images(site: Host) -> dict[str, str]:
    """Unit to the image that serves."""
    return {name: unit["images"][unit["active"]] for name, unit in release(site)["units"].items()}


def slots(site: Host, unit: str) -> dict[str, str]:
    """The containers of a unit's active slot; see `containers`."""
    state = release(site)["units"][unit]
    names = [f"moorage-{service}-{state['active']}" for service in state["definitions"][state["active"]]["services"]]
    return {name: containers(site)[name] for name in names}


@pytest.fixture(scope="module")
def two(lab: Lab, site: Host) -> None:
    """sha-two serves, and sha-one is what was good before."""
    lab.push("sha-two")
    deployed(lab, "sha-one")
    deployed(lab, "sha-two")


@pytest.fixture
def without_git(tmp_path: Path) -> str:
    """A search path with all that this machine has, but git."""
    for folder in os.environ["PATH"].split(":"):
        for path in Path(folder).iterdir() if Path(folder).is_dir() else ():
            if not path.name.startswith("git") and not (tmp_path / path.name).exists():
                (tmp_path / path.name).symlink_to(path)
    return f"{Path(sys.executable).parent}:{tmp_path}"


@pytest.fixture
def no_registry(lab: Lab) -> Iterator[None]:
    """The registry is gone."""
    lab.registry.stop()
    yield
    lab.registry.start()


def test_it_needs_neither_the_registry_nor_git_nor_a_control_plane_that_runs(
    lab: Lab, site: Host, web: Client, two: None, without_git: str, no_registry: None
):
    before, was = release(site), images(site)
    slot = before["units"]["controlplane"]["active"]
    site.exec("docker", "kill", *(f"moorage-{name}-{slot}" for name in CONTROL_PLANE))
    succeeded(ansible(lab, "rollback", PATH=without_git))
    after, entry = release(site), log(site)[-1]
    assert (after["number"], after["rolled_back_from"]) == (before["before"][0], before["number"])
    assert images(site)["controlplane"] != was["controlplane"]
    assert (entry["kind"], entry["verdict"], entry["tag"]) == ("rollback", "success", "sha-one")
    assert web.api("/api/v1/health/ready").status == 200

    again = succeeded(ansible(lab, "rollback", PATH=without_git))
    assert again.changed == 0
    assert f"Nothing to do: release {after['number']} runs since the rollback from release {before['number']}" in (
        again.words
    )
    assert log(site)[-1] == entry
    # It stays where it went, for a run that names no tag.
    settled(lab, site)

    # Forward again, to a named one that is kept.
    with unnoticed(lab):
        succeeded(ansible(lab, "rollback", "-e", "image_tag=sha-two", PATH=without_git))
    assert images(site) == was


@full
def test_a_first_release_has_nowhere_to_go_back_to(lab: Lab, site: Host, two: None):
    state = site.exec("cat", "/opt/moorage/release.json")
    number = json.loads(state)["number"]
    # As on a host that has had one release only.
    site.exec(f"cd /opt/moorage && mkdir aside && mv releases/*.json aside && mv aside/{number:06d}.json releases/")
    alone = {**json.loads(state), "before": [], "rolled_back_from": 0}
    site.exec("tee", "/opt/moorage/release.json", given=json.dumps(alone))
    try:
        run = refused(lab, site, "rollback")
        assert (
            "This host has no earlier good release to go back to. A tag that the registry has can be named" in run.words
        )
    finally:
        site.exec("cd /opt/moorage && mv aside/*.json releases/ && rmdir aside")
        site.exec("tee", "/opt/moorage/release.json", given=state)


@full
def test_a_tag_that_is_not_kept_comes_from_the_registry_and_an_unknown_one_from_nowhere(
    lab: Lab, site: Host, two: None
):
    lab.variant("sha-elsewhere", "frontend", "sha-one", "LABEL practice=elsewhere")
    succeeded(ansible(lab, "rollback", "-e", "image_tag=sha-elsewhere"))
    assert release(site)["units"]["frontend"]["tags"][release(site)["units"]["frontend"]["active"]] == "sha-elsewhere"
    run = refused(lab, site, "rollback", "-e", "image_tag=sha-nowhere")
    assert "No release kept on this host has the tag sha-nowhere" in run.words
    assert "Kept here: sha-two (release" in run.words
    succeeded(ansible(lab, "rollback", "-e", "image_tag=sha-two"))


@full
def test_a_release_of_the_configuration_alone_has_a_way_back_too(lab: Lab, site: Host, web: Client, two: None):
    was, plane = release(site)["number"], slots(site, "controlplane")
    services = yaml.safe_load((ROOT / "inventories/lab/group_vars/moorage/stack.yml").read_text())["stack_services"]
    services["frontend"]["environment"] = {"PRODUCT_NAME": "Another Name"}
    succeeded(ansible(lab, "deploy", "-e", json.dumps({"stack_services": services})))
    assert b"Another Name" in web.get("https://app.moorage.test/config.json").body
    succeeded(ansible(lab, "rollback"))
    assert b"Another Name" not in web.get("https://app.moorage.test/config.json").body
    assert release(site)["number"] == was
    assert slots(site, "controlplane") == plane, "what was not released is not touched"
    settled(lab, site)


def test_a_release_of_the_frontend_alone_goes_back_alone(lab: Lab, site: Host, two: None):
    was, plane = images(site), slots(site, "controlplane")
    lab.variant("sha-front", "frontend", "sha-two", "LABEL practice=front")
    deployed(lab, "sha-front")
    assert images(site)["frontend"] != was["frontend"]
    succeeded(ansible(lab, "rollback"))
    assert images(site) == was
    assert slots(site, "controlplane") == plane
    settled(lab, site)
