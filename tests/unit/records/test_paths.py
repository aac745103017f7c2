"""No path leaves its tenant's subtree, and no two things have the same: RTDB has no other isolation of tenants."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote, urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.records.kinds import COLLECTIONS, SETTINGS
from webapp.records.paths import FORBIDDEN, LONGEST_KEY_BYTES, KeyUnfit, path_of, refuse_key, root_of

TENANT, OTHER = UUID(int=1), UUID(int=2)
BUILT_AGAINST_US = [
    "..", ".", "../..", "%2e%2e", "%2F", "..%2f..", "a/b", "a\\b", f"../{OTHER}", ".json", "x.json", "?auth=x",
    "#x", "$key", "a[0]", "", " ", "\0", "\n", "\x7f", ".settings", ".info", "settings", "tenants", "%", "%00", "é",
    "e\u0301",
    "x" * 768, "x" * 769, "é" * 384, "é" * 385, "\ud800", "\u202e", "\uff0f", "\uff0e\uff0e", "a;b", "a:b@c", "~",
    "+", "&x=1",
]  # fmt: skip
evil = st.one_of(st.text(max_size=20), st.sampled_from(BUILT_AGAINST_US))
roots = st.lists(evil, max_size=3).map(tuple)
places = st.tuples(
    roots, st.sampled_from([TENANT, OTHER]) | st.uuids(), st.sampled_from([*COLLECTIONS, SETTINGS]),
    st.lists(evil, max_size=3).map(tuple),
)  # fmt: skip
Place = tuple[tuple[str, ...], UUID, str, tuple[str, ...]]


def built(place: Place) -> str | None:
    root, tenant, collection, keys = place
    try:
        return path_of(root, tenant, collection, *keys)
    except KeyUnfit:
        return None


@given(places)
def test_a_path_stays_in_its_tenants_subtree_however_a_server_reads_it(place: Place) -> None:
    root, tenant, collection, keys = place
    path = built(place)
    if path is None:
        return
    url = urlsplit(f"http://rtdb/{path}.json")
    assert (url.query, url.fragment, url.netloc) == ("", "", "rtdb")
    mine = (*root, "tenants", str(tenant), *collection.split("/"), *keys)
    read = url.path.removeprefix("/").removesuffix(".json")
    assert tuple(unquote(part) for part in read.split("/")) == mine
    # Also one that resolves dots, or that decodes before it divides.
    assert posixpath.normpath(f"/{unquote(read)}") == "/" + "/".join(mine)


@given(places, places)
def test_different_things_have_different_paths(one: Place, other: Place) -> None:
    paths = built(one), built(other)
    # A root is the installation's, not a caller's: of one installation they are the same.
    if one[0] == other[0] and None not in paths:
        assert (paths[0] == paths[1]) is (one[1:] == other[1:])


@given(evil, st.sampled_from(COLLECTIONS), evil)
def test_no_tenant_names_a_place_of_another(key: str, collection: str, other_key: str) -> None:
    mine, theirs = built(((), TENANT, collection, (key,))), built(((), OTHER, collection, (other_key,)))
    if mine and theirs:
        assert not theirs.startswith(f"tenants/{TENANT}") and not mine.startswith(f"tenants/{OTHER}")


@given(evil)
def test_what_can_be_no_key_is_refused(key: str) -> None:
    try:
        refuse_key(key)
    except KeyUnfit:
        return
    assert key and not FORBIDDEN.search(key) and len(key.encode()) <= LONGEST_KEY_BYTES
    assert not set(key) & set(".$#[]/\0\n\x7f")


@pytest.mark.parametrize("collection", ["", "bot", "resources", "../bots", "finance/daily-stats", "bots/x"])
def test_only_collections_have_paths(collection: str) -> None:
    with pytest.raises(ValueError, match="no collection"):
        path_of((), TENANT, collection)


def test_a_tenant_is_written_in_lower_case() -> None:
    tenant = UUID("ABCDEF00-0000-4000-8000-00000000000A")
    assert path_of(("prod",), tenant, "bots", "a b") == f"prod/tenants/{str(tenant).lower()}/bots/a%20b"


def test_a_root_is_keys_with_slashes_between_them() -> None:
    assert root_of("") == root_of("/") == () and root_of("/prod/v1/") == ("prod", "v1")
    for wrong in ("a//b", "a.b", "a/$b", "1/2/3/4/5/6"):
        with pytest.raises(KeyUnfit):
            root_of(wrong)
