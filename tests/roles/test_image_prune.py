"""Which images are old: ours, neither kept nor used; whatever is anybody else's stays."""

from __future__ import annotations

import pytest

from tests.running import run_module

SHA = {letter: f"sha256:{letter * 64}" for letter in "abcdef"}
OURS = ["ghcr.io/acme/shop", "registry.x.test:5000/acme/api", "docker.io/acme/hub"]


@pytest.fixture(scope="module")
def prune(plugin):
    return plugin("modules", "image_prune")


@pytest.fixture
def doomed(prune):
    def decide(*images, used=(), keep=(), ours=OURS):
        found = [
            prune.Image(f"id{n}", *(image if isinstance(image[0], tuple) else (image,)))
            for n, image in enumerate(images)
        ]
        return prune.doomed(found, set(used), ours, list(keep), "moorage")

    return decide


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ghcr.io/acme/shop:sha-1", "ghcr.io/acme/shop"),
        ("ghcr.io/acme/shop@sha256:aa", "ghcr.io/acme/shop"),
        ("registry.x.test:5000/acme/api@sha256:aa", "registry.x.test:5000/acme/api"),
        ("registry.x.test:5000/acme/api:1", "registry.x.test:5000/acme/api"),
        ("registry.x.test:5000/acme/api", "registry.x.test:5000/acme/api"),
        ("caddy", "caddy"),
    ],
)
def test_a_name_without_its_tag_or_digest(prune, name, expected):
    assert prune.repository(name) == expected


def test_old_images_of_ours_go_by_all_our_names_digests_first(doomed):
    names = ("ghcr.io/acme/shop:sha-1", f"ghcr.io/acme/shop@{SHA['a']}")
    assert doomed(names) == {"id0": [f"ghcr.io/acme/shop@{SHA['a']}", "ghcr.io/acme/shop:sha-1"]}


def test_what_is_kept_or_used_stays_under_all_its_names(doomed):
    kept = ("ghcr.io/acme/shop:sha-1", f"ghcr.io/acme/shop@{SHA['a']}")
    by_id = (f"ghcr.io/acme/shop@{SHA['b']}",)
    by_name = (f"registry.x.test:5000/acme/api@{SHA['c']}",)
    old = (f"registry.x.test:5000/acme/api@{SHA['d']}",)
    used = {"id1", f"registry.x.test:5000/acme/api@{SHA['c']}"}
    assert list(doomed(kept, by_id, by_name, old, used=used, keep=[f"ghcr.io/acme/shop@{SHA['a']}"])) == ["id3"]


@pytest.mark.parametrize(
    "name",
    [
        "ghcr.io/acme/shopping:1",
        "ghcr.io/acme/shop/cache:1",
        "ghcr.io/acme:1",
        "acme/shop:1",
        "registry.x.test/acme/api:1",
        "postgres:17",
    ],
)
def test_no_other_repository_is_touched(doomed, name):
    assert doomed((name, f"{name.rpartition(':')[0]}@{SHA['a']}")) == {}


def test_an_image_that_others_name_too_only_loses_our_names(doomed):
    names = (f"ghcr.io/acme/shop@{SHA['a']}", "somebody/else:1")
    assert doomed(names) == {"id0": [f"ghcr.io/acme/shop@{SHA['a']}"]}


def test_the_hubs_images_are_known_by_their_short_names(doomed):
    old, kept = f"acme/hub@{SHA['a']}", f"acme/hub@{SHA['b']}"
    assert doomed((old,), (kept,), keep=[f"docker.io/acme/hub@{SHA['b']}"]) == {"id0": [old]}


def test_of_nameless_images_only_those_of_the_project_go(doomed):
    assert doomed(((), "moorage"), ((), ""), ((), "another")) == {"id0": ["id0"]}


def test_what_is_to_be_kept_is_named_by_its_digest():
    result = run_module("image_prune", repositories=OURS, keep=["ghcr.io/acme/shop:sha-1"]).result
    assert result["failed"] and "name it by its digest. Nothing was removed" in result["msg"]
