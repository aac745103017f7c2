"""Files, folders and links of `host_state`: what a run does, what a check foretells, what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.roles.host_state.conftest import Bench

from ansible.module_utils.host_state.change import Outcome, StateError  # isort: skip (importable after conftest)

Declare = Callable[..., Outcome]
EVERYTHING = [
    {"path": "a/b", "state": "directory", "mode": "0750"},
    {"path": "a/b/secret", "content": "x\n", "mode": "0600"},
    {"path": "deep/er/file", "content": "y"},
    {"path": "link", "link": "/etc/hostname"},
    {"path": "env", "content": "first\n", "keep": True, "mode": "0600"},
    {"path": "gone", "state": "absent"},
]


def test_a_declared_tree_is_made_with_its_modes(bench: Bench, declare: Declare):
    (bench.root / "gone").write_text("old")
    declare(files=EVERYTHING)
    assert bench.tree() == {
        "a": ("directory", 0o755, b""),
        "a/b": ("directory", 0o750, b""),
        "a/b/secret": ("file", 0o600, b"x\n"),
        "deep": ("directory", 0o755, b""),
        "deep/er": ("directory", 0o755, b""),
        "deep/er/file": ("file", 0o644, b"y"),
        "link": ("link", 0o777, b"/etc/hostname"),
        "env": ("file", 0o600, b"first\n"),
    }


def test_a_check_changes_nothing_and_foretells_the_run(bench: Bench, declare: Declare):
    (bench.root / "gone").write_text("old")
    before = bench.tree()
    foretold = declare(check=True, files=EVERYTHING)
    assert bench.tree() == before and not bench.state.exists()
    assert declare(files=EVERYTHING).changes == foretold.changes
    assert declare(files=EVERYTHING).changes == []


def test_drift_is_named_and_put_right(bench: Bench, declare: Declare):
    declare(files=EVERYTHING)
    (bench.root / "a/b/secret").chmod(0o666)
    (bench.root / "a/b").chmod(0o777)
    (bench.root / "deep/er/file").write_text("z")
    (bench.root / "link").unlink()
    (bench.root / "link").symlink_to("/etc/passwd")
    assert declare(files=EVERYTHING).changes == [
        f"file {bench.root}/a/b: mode 0777 -> 0750",
        f"file {bench.root}/a/b/secret: mode 0666 -> 0600",
        f"file {bench.root}/deep/er/file: content",
        f"file {bench.root}/link: link /etc/passwd -> /etc/hostname",
    ]


def test_owner_and_group_may_be_numbers_and_are_put_right(bench: Bench, declare: Declare):
    # Only root can give files away; another user sees that his own number is no drift.
    uid, gid = (1234, 4321) if os.getuid() == 0 else (os.getuid(), os.getgid())
    entry = {"path": "x", "content": "x", "owner": str(uid), "group": str(gid)}
    (bench.root / "x").write_text("x")
    (bench.root / "x").chmod(0o644)
    drifted = (bench.root / "x").stat().st_uid != uid
    assert [" -> 1234" in line for line in declare(files=[entry]).changes] == [True] * drifted
    assert ((bench.root / "x").stat().st_uid, (bench.root / "x").stat().st_gid) == (uid, gid)
    assert declare(files=[entry]).changes == []


def test_a_kept_file_is_written_once_and_only_its_mode_held(bench: Bench, declare: Declare):
    entry = {"path": "env", "content": "ours", "keep": True, "mode": "0600"}
    declare(files=[entry])
    (bench.root / "env").write_text("theirs")
    (bench.root / "env").chmod(0o644)
    assert declare(files=[entry]).changes == [f"file {bench.root}/env: mode 0644 -> 0600"]
    assert (bench.root / "env").read_text() == "theirs"


def test_a_file_in_place_of_a_link_leaves_the_links_target_alone(bench: Bench, declare: Declare):
    target = bench.folder / "outside"
    target.write_text("untouched")
    (bench.root / "x").symlink_to(target)
    declare(files=[{"path": "x", "content": "ours"}])
    assert target.read_text() == "untouched"
    assert not (bench.root / "x").is_symlink()


def test_a_folder_that_is_a_link_out_of_the_root_is_refused(bench: Bench, declare: Declare):
    (bench.folder / "outside").mkdir()
    (bench.root / "way").symlink_to(bench.folder / "outside")
    with pytest.raises(StateError, match=r"files\[0\] \(way/x\).*leads out of"):
        declare(files=[{"path": "way/x", "content": "x"}])
    assert list((bench.folder / "outside").iterdir()) == []


def test_one_refused_file_leaves_all_as_they_were(bench: Bench, declare: Declare):
    files = [
        {"path": "good", "content": "fine"},
        {"path": "bad", "content": "wrong", "validate": "grep -q right %s"},
    ]
    for check in (True, False):
        with pytest.raises(StateError, match=r"files\[1\] \(bad\).*refuses the new .*No file has been changed"):
            declare(check=check, files=files)
        assert bench.tree() == {}
    files[1]["content"] = "right"
    assert len(declare(files=files).changes) == 2


def test_a_validator_of_a_package_to_come_is_no_obstacle_to_a_check_only(declare: Declare):
    files = [{"path": "x", "content": "x", "validate": "no-such-program %s"}]
    assert declare(check=True, files=files).changes
    with pytest.raises(StateError, match="not installed"):
        declare(files=files)


def test_a_diff_shows_what_changes_unless_the_entry_forbids_it(bench: Bench, declare: Declare):
    files: list[dict[str, Any]] = [
        {"path": "open", "content": "new\n"},
        {"path": "secret", "content": "hunter2\n", "no_diff": True},
    ]
    declare(files=[{**entry, "content": "old-hunter1\n"} for entry in files])
    shown, hidden = declare(check=True, files=files).diff
    assert (shown["before"], shown["after"]) == ("old-hunter1\n", "new\n")
    assert hidden["before"] != hidden["after"]
    assert "hunter" not in str(hidden)


def test_the_output_of_a_secrets_validator_is_withheld(declare: Declare):
    entry = {"path": "s", "content": "hunter2", "no_diff": True, "validate": "sh -c 'cat $0; exit 1' %s"}
    with pytest.raises(StateError) as error:
        declare(files=[entry])
    assert "hunter2" not in str(error.value)


def test_nothing_is_left_beside_a_file_that_could_not_be_put_in_place(bench: Bench, declare: Declare):
    (bench.root / "x").mkdir()
    with pytest.raises(StateError, match="is a folder"):
        declare(files=[{"path": "x", "content": "x"}])
    assert bench.tree() == {"x": ("directory", (bench.root / "x").stat().st_mode & 0o7777, b"")}


def test_a_file_where_a_folder_should_be_is_named(bench: Bench, declare: Declare):
    (bench.root / "x").write_text("")
    with pytest.raises(StateError, match=r"files\[0\] \(x\).*no folder"):
        declare(files=[{"path": "x", "state": "directory"}])


def test_only_the_attributes_of_a_file_without_content_are_held(bench: Bench, declare: Declare):
    with pytest.raises(StateError, match="is not there"):
        declare(files=[{"path": "x", "state": "file", "mode": "0600"}])
    (bench.root / "x").write_text("theirs")
    declare(files=[{"path": "x", "state": "file", "mode": "0600"}])
    assert bench.tree() == {"x": ("file", 0o600, b"theirs")}
