"""What secrets and inputs become, and what is refused before anything is contacted."""

from __future__ import annotations

from pathlib import Path

import pytest
from shipping import Refused
from shipping.deploying import Target, images_of, names_host, reached_at, tag_of, the_host

GIVEN = {
    "VPS_HOST": "203.0.113.10",
    "VPS_USER": "deploy",
    "VPS_SSH_KEY": "a key\r\nof two lines",
    "VPS_KNOWN_HOSTS": "203.0.113.10 ssh-ed25519 AAAA",
    "VPS_DEPLOY_PATH": "/srv/product",
}


def test_secrets_become_variables_that_pin_the_hosts_key() -> None:
    variables = Target.of(GIVEN).variables(Path("/tmp/x/key"), Path("/tmp/x/known_hosts"))
    assert variables["ansible_host"] == "203.0.113.10"
    assert variables["ansible_user"] == "deploy"
    assert variables["ansible_ssh_private_key_file"] == "/tmp/x/key"
    assert variables["stack_root"] == "/srv/product"
    options = variables["ansible_ssh_common_args"]
    assert "StrictHostKeyChecking=yes" in options and "UserKnownHostsFile=/tmp/x/known_hosts" in options
    assert "GlobalKnownHostsFile=/dev/null" in options


def test_without_a_path_the_inventorys_own_counts() -> None:
    target = Target.of({**GIVEN, "VPS_DEPLOY_PATH": ""})
    assert "stack_root" not in target.variables(Path("key"), Path("known"))


def test_a_pasted_key_is_mended_and_never_printed() -> None:
    target = Target.of(GIVEN)
    assert target.key == "a key\nof two lines\n"
    assert "two lines" not in repr(target)


@pytest.mark.parametrize("name", ["VPS_HOST", "VPS_USER", "VPS_SSH_KEY", "VPS_KNOWN_HOSTS"])
def test_a_missing_secret_is_named(name: str) -> None:
    with pytest.raises(Refused, match=f"{name} is not set"):
        Target.of({**GIVEN, name: "  "})


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Refused, match=r"(?s)VPS_USER is not set.*VPS_DEPLOY_PATH is not an absolute path"):
        Target.of({**GIVEN, "VPS_USER": "", "VPS_DEPLOY_PATH": "srv"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VPS_HOST", "-oProxyCommand=id"),
        ("VPS_HOST", "a b"),
        ("VPS_USER", "deploy;id"),
        ("VPS_DEPLOY_PATH", "/opt/$(id)"),
        ("VPS_DEPLOY_PATH", "{{ lookup('pipe', 'id') }}"),
    ],
)
def test_what_would_be_a_command_is_none(name: str, value: str) -> None:
    with pytest.raises(Refused, match=f"{name} is not"):
        Target.of({**GIVEN, name: value})


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("203.0.113.10 ssh-ed25519 AAAA", True),
        ("example.com,203.0.113.10 ssh-ed25519 AAAA", True),
        ("[203.0.113.10]:2222 ssh-ed25519 AAAA", True),
        ("|1|salt=|hash= ssh-ed25519 AAAA", True),
        ("203.0.113.1 ssh-ed25519 AAAA", False),
        ("# 203.0.113.10 ssh-ed25519 AAAA", False),
        ("203.0.113.10", False),
        ("", False),
    ],
)
def test_a_known_hosts_file_names_the_host_or_not(line: str, named: bool) -> None:
    assert names_host(f"# a comment\n{line}\n", "203.0.113.10") is named


@pytest.mark.parametrize("tag", ["$(id)", "a b", "-e", "sha;id", "x" * 129])
def test_a_tag_that_is_none_is_refused(tag: str) -> None:
    with pytest.raises(Refused, match="not an image tag"):
        tag_of({"IMAGE_TAG": tag}, needed=True)


def test_a_deploy_needs_a_tag_or_a_commit_and_a_rollback_does_not() -> None:
    assert tag_of({"IMAGE_TAG": "sha-1a2b3c4"}, needed=True) == "sha-1a2b3c4"
    assert tag_of({"IMAGE_COMMIT": "1a2b3c4d5e6f"}, needed=True) == "sha-1a2b3c4"
    assert tag_of({"IMAGE_TAG": ""}, needed=False) == ""
    with pytest.raises(Refused, match="names no tag"):
        tag_of({}, needed=True)


def test_one_hosts_secrets_are_not_aimed_at_two() -> None:
    assert the_host({"_meta": {"hostvars": {"vps": {"a": 1}}}}) == {"a": 1}
    for hosts in ({}, {"one": {}, "two": {}}):
        with pytest.raises(Refused, match="must have one host"):
            the_host({"_meta": {"hostvars": hosts}})


def test_the_images_that_follow_the_tag_are_the_ones_to_verify() -> None:
    digest = f"sha256:{'0' * 64}"
    services = {
        "frontend": {"image": "registry.example:5000/shop/frontend"},
        "cache": {"image": "docker.io/library/redis:8"},
        "search": {"image": f"ghcr.io/example/search@{digest}"},
        "worker": {"image": "ghcr.io/example/controlplane"},
    }
    host = {"controlplane_image": "ghcr.io/example/controlplane", "stack_services": services}
    assert images_of(host) == ["ghcr.io/example/controlplane", "registry.example:5000/shop/frontend"]


@pytest.mark.parametrize("image", ["{{ registry }}/controlplane", ""])
def test_an_image_that_cannot_be_known_beforehand_is_refused(image: str) -> None:
    with pytest.raises(Refused, match="plain names"):
        images_of({"controlplane_image": image})


def test_a_registry_may_have_another_address_here() -> None:
    places = {"registry.example:5000": "127.0.0.1:5000"}
    assert reached_at("registry.example:5000/shop/frontend", places) == "127.0.0.1:5000/shop/frontend"
    assert reached_at("ghcr.io/example/frontend", places) == "ghcr.io/example/frontend"
