"""`.ci/pin.py`: digests of images in an inventory's `stack_pins`."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from .conftest import DIGEST, Pin, Registry

OLD = f"sha256:{'0' * 64}"


@pytest.fixture
def pins(tmp_path: Path, registry: Registry) -> Path:
    """Every way in which a value may stand there, between comments and neighbours."""
    path = tmp_path / "pins.yml"
    path.write_text(
        f"""---
# Kept.
stack_other: [1,   2]
stack_pins:
  "{registry.address}/library/caddy:2.11": ""  # empty
  # Between.
  {registry.address}/library/postgres:17:
  '{registry.address}/minio/minio:RELEASE.1': '{registry.address}/minio/minio@{OLD}'
stack_last: true
"""
    )
    path.chmod(0o640)
    return path


def test_pins_are_written_and_all_else_is_kept(pin: Pin, pins: Path, registry: Registry) -> None:
    done = pin(pins)
    assert done.returncode == 0, done.stderr
    at = registry.address
    assert pins.read_text() == f"""---
# Kept.
stack_other: [1,   2]
stack_pins:
  "{at}/library/caddy:2.11": "{at}/library/caddy@{DIGEST}"  # empty
  # Between.
  {at}/library/postgres:17: "{at}/library/postgres@{DIGEST}"
  '{at}/minio/minio:RELEASE.1': "{at}/minio/minio@{DIGEST}"
stack_last: true
"""
    assert pins.stat().st_mode & 0o777 == 0o640
    assert f"/library/caddy:2.11: nothing -> {DIGEST}" in done.stdout
    assert f"/minio/minio:RELEASE.1: {OLD} -> {DIGEST}" in done.stdout


def test_a_second_run_changes_nothing(pin: Pin, pins: Path) -> None:
    pin(pins)
    before = pins.stat()
    done = pin(pins)
    assert done.stdout.count("-> the same") == 3
    assert (pins.stat().st_ino, pins.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_registry_that_tells_no_digest_has_its_manifest_hashed(
    pin: Pin, pins: Path, registry: Registry
) -> None:
    registry.told = False
    assert pin(pins).returncode == 0
    assert pins.read_text().count(DIGEST) == 3


def test_check_names_what_is_missing_and_asks_nobody(pin: Pin, pins: Path, registry: Registry) -> None:
    done = pin("--check", pins)
    assert done.returncode == 1
    assert done.stdout == "".join(
        f"{pins}: {registry.address}/library/{image}\n" for image in ("caddy:2.11", "postgres:17")
    )
    assert registry.asked == []
    pin(pins)
    assert pin("--check", pins).returncode == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("127.0.0.1:1/library/caddy:2.11", "127.0.0.1:1 cannot be reached (Connection refused)"),
        ("nowhere.invalid/library/caddy:2.11", "nowhere.invalid cannot be reached"),
        ("{registry}/library/caddy:gone", "answered 404. There is no such image or tag"),
        ("{registry}/library/caddy", "not an image with a tag"),
    ],
)
def test_one_fault_writes_nothing_at_all(
    pin: Pin, pins: Path, registry: Registry, name: str, words: str
) -> None:
    name = name.format(registry=registry.address)
    pins.write_text(pins.read_text().replace("stack_last", f'  "{name}": ""\nstack_last'))
    before = pins.read_text()
    done = pin(pins)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Nothing was written." in done.stderr
    assert "Traceback" not in done.stderr
    assert pins.read_text() == before
    assert [path.name for path in pins.parent.iterdir()] == ["pins.yml"]


def test_a_private_image_wants_the_stored_log_in(pin: Pin, pins: Path, registry: Registry, tmp_path: Path) -> None:
    registry.private = {"library/postgres"}
    done = pin(pins)
    assert done.returncode == 2
    assert f"docker login {registry.address}" in done.stderr

    folder = tmp_path / "docker"
    folder.mkdir()
    auth = base64.b64encode(registry.login.encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {registry.address: {"auth": auth}}}))
    done = pin(pins)
    assert done.returncode == 0, done.stderr
    assert "letmein" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stack_pin: {}\n", "no `stack_pins`"),
        ("- a\n", "no `stack_pins`"),
        ("stack_pins: {a: [1]}\n", "neither empty nor a reference by digest"),
        ("a: [\n", "not YAML"),
    ],
)
def test_a_file_that_is_no_pins_file_is_named(pin: Pin, tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "pins.yml"
    path.write_text(text)
    done = pin(path)
    assert done.returncode == 2
    assert str(path) in done.stderr
    assert words in done.stderr


def test_without_a_file_it_says_which(pin: Pin, tmp_path: Path) -> None:
    assert "inventories/NAME/group_vars" in pin().stderr
    assert "No such file or directory" in pin(tmp_path / "absent.yml").stderr
