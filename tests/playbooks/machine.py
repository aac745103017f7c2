"""Playbooks as a person starts them, and an inventory to start them with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def play(*args: str | Path) -> subprocess.CompletedProcess[str]:
    """ansible-playbook as a person starts it, in the repository's folder."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "NO_COLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    return subprocess.run(
        ["ansible-playbook", *map(str, args)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def make_inventory(folder: Path) -> Path:
    """A copy of the example inventory, complete but for what a test takes away; its host cannot be reached."""
    shutil.copytree(ROOT / "inventories/example", folder)
    (folder / "hosts.yml").write_text("moorage: {hosts: {vps: {ansible_host: 127.0.0.1, ansible_port: 1}}}\n")
    pins = folder / "group_vars/moorage/pins.yml"
    content = yaml.safe_load(pins.read_text())
    content["stack_pins"] = {name: f"{name.rpartition(':')[0]}@sha256:{'0' * 64}" for name in content["stack_pins"]}
    pins.write_text(yaml.safe_dump(content))
    (folder / "group_vars/moorage/connection.yml").write_text("ansible_user: deploy\n")
    return folder


def change(inventory: Path, role: str, **values: Any) -> None:
    """Other values in a role's file of the inventory; None takes a variable away."""
    path = inventory / f"group_vars/moorage/{role}.yml"
    content = yaml.safe_load(path.read_text()) if path.exists() else {}
    for name, value in values.items():
        content[name] = value
        if value is None:
            del content[name]
    path.write_text(yaml.safe_dump(content))


def words(done: subprocess.CompletedProcess[str]) -> str:
    """All it printed, in one line: sentences are wrapped."""
    return " ".join((done.stdout + done.stderr).split())
