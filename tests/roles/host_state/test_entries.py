"""Every mistake in a declaration is found before anything is changed, named, and answered with what is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.roles.host_state.conftest import Bench

from ansible.module_utils.host_state.fields import BadEntry  # isort: skip (importable after conftest)

GOOD = {"path": "good", "content": "x"}
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "a number for a mode": (
        {"files": [GOOD, {"path": "x", "content": "", "mode": 420}]},
        r'files\[1\] \(x\) mode.*"0644"',
    ),
    "no path": ({"files": [GOOD, {"content": ""}]}, r"files\[1\]: needs a `path`"),
    "an unknown word": ({"files": [{**GOOD, "contents": ""}]}, r"files\[0\]: does not know `contents`; it knows"),
    "a way up": ({"files": [{"path": "../x", "content": ""}]}, r"must not contain '\.\.'"),
    "a content that is no text": ({"files": [{"path": "x", "content": {"a": 1}}]}, "to_json"),
    "a content of a folder": ({"files": [{"path": "x", "content": "", "state": "directory"}]}, "its state is `file`"),
    "a link without a target": ({"files": [{"path": "x", "state": "link"}]}, "belong together"),
    "a state that is none": ({"files": [{"path": "x", "state": "present"}]}, "one of file, directory, link, absent"),
    "a path declared twice": ({"files": [GOOD, GOOD]}, "declared twice"),
    "the root to be removed": ({"files": [{"path": "/opt", "state": "absent"}]}, "will not remove /opt"),
    "a validator without a file": ({"files": [{**GOOD, "validate": "true"}]}, "must hold %s"),
    "no mapping": ({"files": ["x"]}, r"files\[0\]: must be a mapping"),
    "no list": ({"files": {"path": "x"}}, "files: must be a list"),
    "a relative path without a root": ({"root": None, "files": [GOOD]}, "is relative"),
    "a package's strange name": ({"packages": ["vim; rm -rf /"]}, "not the name of a Debian package"),
    "a user's strange name": ({"users": [{"name": "Deploy"}]}, "not a name for a Linux user"),
    "a private key": (
        {"users": [{"name": "d", "authorized_keys": ["-----BEGIN"]}]},
        r"users\[0\] \(d\) authorized_keys",
    ),
    "a command with no reason": ({"commands": [{"run": ["true"]}]}, "would run every time"),
    "yaml's on": ({"commands": [{"run": ["true"], True: ["x"]}]}, "run_on"),
    "a unit without a suffix": ({"units": [{"name": "ssh"}]}, r"units\[0\] \(ssh\) name.*ssh\.service"),
    "a text for a flag": ({"units": [{"name": "a.service", "enabled": "yes"}]}, "must be true or false"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_and_nothing_changed(case: str, bench: Bench, declare: Callable[..., Any]):
    params, message = CASES[case]
    with pytest.raises(BadEntry, match=message):
        declare(**{"files": [GOOD], **params})
    assert bench.tree() == {}


@pytest.mark.parametrize(
    "key",
    [
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA you@example.com",
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t",
        'from="192.0.2.0/24",no-pty ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY= a b c',
    ],
)
def test_a_public_key_is_taken_in_all_its_forms(key: str):
    from ansible.module_utils.host_state.spec import parse

    assert parse({"users": [{"name": "deploy", "authorized_keys": [key]}]}).users[0].authorized_keys == (key,)


def test_a_folder_can_be_entered_by_who_can_read_it():
    from ansible.module_utils.host_state.spec import parse

    modes = {}
    for mode in ("0644", "0640", "0600"):
        modes[mode] = parse({"mode": mode, "files": [{"path": "/a/b", "state": "directory"}]}).files[0].mode
    assert modes == {"0644": 0o755, "0640": 0o750, "0600": 0o700}
