"""The facts of a lab hold private paths and are written whole, for their owner alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.lab import facts
from tests.lab.shapes import Shape


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of nothing but an inventory's folder."""
    copy = tmp_path / "inventories/lab/group_vars/all/generated.yml"
    copy.parent.mkdir(parents=True)
    monkeypatch.setattr(facts, "REPOSITORY", tmp_path)
    monkeypatch.setattr(facts, "INVENTORY_COPY", copy)
    return tmp_path


def test_the_demo_is_also_what_the_inventory_sees(tree: Path):
    path = facts.write_facts("demo", {"lab_name": "demo"})
    for written in (path, facts.INVENTORY_COPY):
        assert yaml.safe_load(written.read_text()) == {"lab_name": "demo"}
        assert written.stat().st_mode & 0o777 == 0o600


def test_another_lab_does_not_show_in_the_inventory_and_does_not_take_the_demo_away(tree: Path):
    facts.write_facts("demo", {"lab_name": "demo"})
    facts.write_facts("test", {"lab_name": "test"})
    facts.forget_facts("test")
    assert not facts.state_dir("test").exists()
    assert yaml.safe_load(facts.INVENTORY_COPY.read_text()) == {"lab_name": "demo"}


def test_nothing_is_left_when_the_last_lab_is_forgotten(tree: Path):
    facts.write_facts("demo", {"lab_name": "demo"})
    facts.forget_facts("demo")
    assert not (tree / ".moorage").exists()
    assert not facts.INVENTORY_COPY.exists()


def test_a_host_is_known_again_by_its_label():
    shape = Shape(image="debian12", docker_tmpfs="2g", ports=("8443", "53/udp"), aliases=("db",))
    assert Shape.from_label(shape.to_label()) == shape
