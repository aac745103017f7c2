"""Makes the plugins importable as they are on the controller and on a host, and renders roles without one."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PLUGINS = ROOT / "playbooks" / "plugins"


def load(kind: str, name: str) -> ModuleType:
    """A plugin's file as a Python module."""
    full = f"moorage_{kind}_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, PLUGINS / kind / f"{name}.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        if kind == "modules":
            share_module_utils()
        spec.loader.exec_module(module)
    return sys.modules[full]


def share_module_utils() -> None:
    """What Ansible does when it builds a module for a host: our module_utils become ansible.module_utils."""
    import ansible.module_utils

    folder = str(PLUGINS / "module_utils")
    if folder not in ansible.module_utils.__path__:
        ansible.module_utils.__path__.append(folder)


@pytest.fixture(scope="session")
def plugin() -> Callable[[str, str], ModuleType]:
    """`plugin("filter", "compose")` is that file, imported."""
    return load


def example_pins(digest: str = "sha256:" + "b" * 64) -> dict[str, str]:
    """The example inventory's images, all with one made-up digest: `make pin` would have asked for theirs."""
    images = yaml.safe_load((ROOT / "inventories/example/group_vars/moorage/pins.yml").read_text())["stack_pins"]
    return {image: f"{image.rpartition(':')[0]}@{digest}" for image in images}


def renderer() -> Callable[..., Any]:
    """Renders a role's template with Ansible's own templar, the role's defaults and vars, the wiring, an inventory."""
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.template import Templar, trust_as_template

    init_plugin_loader([])

    def trusted(value: Any) -> Any:
        if isinstance(value, str):
            return trust_as_template(value)
        if isinstance(value, dict):
            return {key: trusted(entry) for key, entry in value.items()}
        return [trusted(entry) for entry in value] if isinstance(value, list) else value

    def read(path: Path) -> dict[str, Any]:
        return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}

    def variables(inventory: str, **extra: Any) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for role in sorted((ROOT / "roles").iterdir()):
            out |= read(role / "defaults" / "main.yml")
        out |= read(ROOT / "playbooks/group_vars/all/wiring.yml")
        for path in sorted((ROOT / inventory / "group_vars" / "moorage").glob("*.yml")):
            out |= read(path)
        for role in sorted((ROOT / "roles").iterdir()):
            out |= read(role / "vars" / "main.yml")
        return out | {"inventory_hostname": "vps"} | extra

    def rendered(expression_or_file: str | Path, inventory: str = "inventories/example", **extra: Any) -> Any:
        templar = Templar(loader=DataLoader(), variables=trusted(variables(inventory, **extra)))
        text = expression_or_file.read_text() if isinstance(expression_or_file, Path) else expression_or_file
        return templar.template(trust_as_template(text))

    return rendered


@pytest.fixture(scope="session")
def render() -> Callable[..., Any]:
    """`renderer()`."""
    return renderer()


def released() -> dict[str, Any]:
    """Facts of a bare Debian 13 host with a release in the blue slot."""
    digest = "sha256:" + "a" * 64
    names = {"controlplane": "ghcr.io/example/controlplane", "frontend": "ghcr.io/example/frontend"}
    units = {
        unit: {"active": "blue", "images": {"blue": f"{name}@{digest}"}, "tags": {"blue": "sha-1"}}
        for unit, name in names.items()
    }
    return {
        "distribution": "Debian",
        "distribution_major_version": "13",
        "memtotal_mb": 4096,
        "release": {"units": units},
    }


@pytest.fixture
def facts() -> dict[str, Any]:
    """`released()`."""
    return released()
