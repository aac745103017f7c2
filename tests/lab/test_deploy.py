"""A release from the registry: by digest, into the free slot, sealed last; a broken one changes nothing."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from tests.lab import Host, Lab
from tests.lab.fullness import full
from tests.lab.playbook import ROOT, ansible, succeeded
from tests.lab.web import Client


@pytest.fixture(scope="module")
def two(lab: Lab, site: Host) -> dict[str, dict[str, str]]:
    """A second version in the registry."""
    return lab.push("sha-two")


def active(site: Host, unit: str) -> str:
    return json.loads(site.exec("cat", "/opt/moorage/release.json"))["units"][unit]["active"]


def declared() -> dict:
    """The product's services as the lab's inventory declares them."""
    return yaml.safe_load((ROOT / "inventories/lab/group_vars/moorage/stack.yml").read_text())["stack_services"]


def test_the_plan_names_the_digests_and_touches_nothing(lab: Lab, site: Host, two):
    before = site.exec("cat", "/opt/moorage/release.json")
    run = succeeded(ansible(lab, "deploy", "--check", "--diff", "-e", "image_tag=sha-two"))
    assert two["controlplane"]["digest"] in run.output
    assert site.exec("cat", "/opt/moorage/release.json") == before
    assert "api-green" not in site.exec("docker", "ps", "--format", "{{.Names}}")


def test_a_release_goes_into_the_free_slot_and_is_seen_outside(lab: Lab, site: Host, web: Client, two):
    was = {unit: active(site, unit) for unit in ("controlplane", "frontend")}
    succeeded(ansible(lab, "deploy", "-e", "image_tag=sha-two"))
    assert {unit: active(site, unit) for unit in was} == dict.fromkeys(was, "green")
    version = json.loads(web.api("/api/v1/health").body)["data"]["version"]
    assert version.endswith(two["controlplane"]["digest"].removeprefix("sha256:")[:12])
    names = site.exec("docker", "ps", "-a", "--format", "{{.Names}}")
    assert "api-blue" not in names and "api-green" in names
    entry = json.loads(site.exec("tail", "-n", "1", "/opt/moorage/releases.jsonl"))
    assert entry["verdict"] == "success" and entry["tag"] == "sha-two"


@full
def test_the_same_release_again_changes_nothing(lab: Lab, site: Host, two):
    again = succeeded(ansible(lab, "deploy", "-e", "image_tag=sha-two"))
    assert again.changed == 0
    assert "Nothing to release: sha-two" in again.words


def test_site_without_a_tag_keeps_what_was_released(lab: Lab, site: Host, two):
    before = site.exec("cat", "/opt/moorage/release.json")
    assert succeeded(ansible(lab, "site")).changed == 0
    assert site.exec("cat", "/opt/moorage/release.json") == before


@full
def test_a_tag_that_does_not_exist_is_an_error_and_changes_nothing(lab: Lab, site: Host, web: Client, two):
    before = site.exec("cat", "/opt/moorage/release.json")
    run = ansible(lab, "deploy", "-e", "image_tag=sha-nowhere")
    assert run.code != 0
    assert "The tag sha-nowhere of" in run.words
    assert "was not touched" in run.words
    assert site.exec("cat", "/opt/moorage/release.json") == before
    assert web.api("/api/v1/health/live").status == 200


@full
def test_a_release_that_never_gets_healthy_is_undone_and_explained(lab: Lab, site: Host, web: Client, two):
    before = site.exec("cat", "/opt/moorage/release.json")
    lab.registry.tag("library/postgres", lab.registry.tags("library/postgres")[0], "sha-three")
    # Another product under the frontend's name: it starts, and ends at once.
    services = declared()
    services["frontend"]["image"] = "registry.moorage.test:5000/library/postgres"
    broken = {"stack_services": services}
    lab.registry.tag("moorage/controlplane", "sha-two", "sha-three")
    run = ansible(lab, "deploy", "-e", "image_tag=sha-three", "-e", json.dumps(broken))
    assert run.code != 0
    assert "Release of sha-three undone; what ran before serves on" in run.words
    assert re.search(r"last_log_lines:\s+- \S", run.output), "the container's last log lines belong into the output"
    assert site.exec("cat", "/opt/moorage/release.json") == before
    assert web.get("https://app.moorage.test/").status == 200
    entry = json.loads(site.exec("tail", "-n", "1", "/opt/moorage/releases.jsonl"))
    assert entry["verdict"] == "failed"
    assert succeeded(ansible(lab, "site")).changed == 0, "nothing of it is left"


def test_a_changed_inventory_goes_out_like_a_release_and_what_is_no_longer_declared_goes(
    lab: Lab, site: Host, web: Client, two
):
    before = active(site, "frontend")
    services = declared()
    services["frontend"] |= {"memory": "72m", "environment": {"PRODUCT_NAME": "Another Name"}}
    services["extra"] = {**services["frontend"], "host": "extra", "probe": False}
    given = json.dumps({"stack_services": services})
    plan = succeeded(ansible(lab, "deploy", "--check", "-e", given))
    assert "with another configuration" in plan.output
    succeeded(ansible(lab, "deploy", "-e", given))
    assert active(site, "frontend") != before
    assert "Another Name" in web.get("https://app.moorage.test/config.json").body.decode()
    assert "moorage-extra-blue" in site.exec("docker", "ps", "--format", "{{.Names}}")
    assert succeeded(ansible(lab, "deploy", "-e", given)).changed == 0

    succeeded(ansible(lab, "deploy"))
    assert active(site, "frontend") == before
    assert "moorage-extra" not in site.exec("docker", "ps", "-a", "--format", "{{.Names}}")
    assert succeeded(ansible(lab, "site")).changed == 0


@full
def test_a_slot_that_is_ill_is_healed_by_the_next_release(lab: Lab, site: Host, web: Client, two):
    slot = active(site, "frontend")
    site.exec("docker", "rm", "-f", f"moorage-frontend-{slot}")
    # What runs now has the image of a tag that is gone, and never gets well.
    state = json.loads(site.exec("cat", "/opt/moorage/release.json"))
    kept = state["units"]["frontend"]
    kept["definitions"][slot]["services"]["frontend"]["command"] = ["false"]
    site.exec("tee", "/opt/moorage/release.json", given=json.dumps(state))
    succeeded(ansible(lab, "deploy", "-e", "image_tag=sha-one"))
    assert active(site, "frontend") != slot
    assert web.get("https://app.moorage.test/").status == 200
    succeeded(ansible(lab, "deploy", "-e", "image_tag=sha-two"))


def test_a_secret_that_a_service_wants_and_nobody_gave_is_asked_for_before_anything_is_changed(
    lab: Lab, site: Host, two
):
    before = site.exec("sh", "-c", "cat /opt/moorage/compose.yml /opt/moorage/release.json")
    services = declared()
    services["frontend"]["secrets"] = ["SHOP_KEY"]
    run = ansible(lab, "deploy", "-e", json.dumps({"stack_services": services}))
    assert run.code != 0
    assert "SHOP_KEY must be in /opt/moorage/.env" in run.words
    assert site.exec("sh", "-c", "cat /opt/moorage/compose.yml /opt/moorage/release.json") == before
