"""A bad inventory, target or host is refused before anything is changed, and no mistake exits 0."""

from __future__ import annotations

import pytest
import yaml

from tests.playbooks.machine import ROOT, change, make_inventory, play, words

PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))


@pytest.fixture
def inventory(tmp_path):
    return make_inventory(tmp_path / "inventories" / "mine")


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_every_playbook_parses(playbook):
    done = play("-i", "inventories/example", "--syntax-check", playbook)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_every_playbook_begins_with_the_guard_and_leaves_the_host_whatever_happened(playbook):
    for entry in yaml.safe_load(playbook.read_text()):
        if entry.get("check_mode"):
            continue  # it only looks, so it neither takes the host nor leaves it
        (alone,) = entry["tasks"]
        assert alone["block"][0]["ansible.builtin.import_role"] == {"name": "guard"}, entry.get("name")
        (leave,) = alone["always"]
        assert leave["ansible.builtin.import_role"] == {"name": "guard", "tasks_from": "leave.yml"}
        assert set(alone) == {"name", "block", "always"}


@pytest.mark.parametrize("name", ["audit", "drift"])
def test_what_only_looks_has_the_guard_before_any_other_role_that_could_change_something(name):
    (entry,) = yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text())
    assert entry["check_mode"] is True
    tasks = [task for one in entry["tasks"] for task in one.get("block", [one])]
    roles = [task["ansible.builtin.import_role"] for task in tasks if "ansible.builtin.import_role" in task]
    first = next(role for role in roles if role.get("tasks_from") != "asks.yml")
    assert first == {"name": "guard"}


@pytest.mark.parametrize(
    ("role", "values", "said"),
    [
        ("stack", {"stack_domain": None}, "stack_domain is missing. It should be a str: the product's domain"),
        ("object_store", {"object_store_kind": "s3"}, "one of: minio, ceph, given"),
        ("stack", {"stack_services": {"shop": {"imag": "x"}}}, "stack_services.shop.imag is not a key of a service"),
        ("stack", {"stack_services": {"api": {"image": "x"}}}, "stack_services.api: the name is the stack's own"),
        ("postgres", {"postgres_memory": "lots"}, "postgres_memory is 'lots', which is no size"),
        ("postgres", {"postgres_max_connections": "many"}, "postgres_max_connections"),
        ("proxy", {"proxy_acme_email": ""}, "proxy_acme_email is missing"),
        ("proxy", {"proxy_domian": "x"}, "proxy_domian is not a variable of the role proxy"),
        ("base", {"base_admin_keys": None}, "base_admin_keys is missing"),
    ],
)
def test_a_bad_variable_is_named_with_its_file(inventory, role, values, said):
    change(inventory, role, **values)
    done = play("-i", inventory, "playbooks/site.yml")
    text = words(done)
    assert done.returncode != 0
    assert said in text
    assert f"group_vars/moorage/{role}.yml" in text
    assert "nothing on the host was changed" in text


def test_an_image_without_a_digest_is_refused(inventory):
    change(inventory, "pins", stack_pins={"docker.io/library/caddy:2.11": ""})
    done = play("-i", inventory, "playbooks/deploy.yml", "-e", "ansible_connection=local", "-e", "ansible_become=false")
    text = words(done)
    assert done.returncode != 0
    assert "No digest in stack_pins for" in text and "make pin" in text


def test_a_host_that_does_not_answer_is_said_in_plain_words(inventory):
    done = play("-i", inventory, "playbooks/site.yml")
    text = words(done)
    assert done.returncode != 0
    assert "cannot be reached, neither as its usual user nor as root" in text
    assert "Nothing was changed" in text


@pytest.mark.parametrize("limit", ["vsp", "vps,vsp", "localhost"])
def test_a_mistyped_limit_does_not_exit_0(inventory, limit):
    done = play("-i", inventory, "playbooks/site.yml", "--limit", limit)
    assert done.returncode != 0, done.stdout + done.stderr


def test_an_inventory_without_hosts_does_not_exit_0(tmp_path):
    (tmp_path / "hosts.yml").write_text("moorage: {hosts: {}}\n")
    done = play("-i", tmp_path / "hosts.yml", "playbooks/site.yml")
    assert done.returncode != 0
    assert "No host to work on" in done.stderr + done.stdout


def test_an_inventory_that_does_not_exist_does_not_exit_0(tmp_path):
    done = play("-i", tmp_path / "nowhere", "playbooks/site.yml")
    assert done.returncode != 0
