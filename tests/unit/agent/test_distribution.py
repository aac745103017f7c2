"""What customers install: the two commands, the same dependencies as the extra, a unit that names real options."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from agent import VERSION
from agent.cli import agent

ROOT = Path(__file__).parents[3]
OWN = tomllib.loads((ROOT / "agent/pyproject.toml").read_text())
WHOLE = tomllib.loads((ROOT / "pyproject.toml").read_text())


def names(requirements: list[str]) -> list[str]:
    return sorted(re.split(r"[<>=!~\[; ]", one)[0] for one in requirements)


def test_its_dependencies_and_commands_are_those_of_the_repositorys_extra() -> None:
    assert names(OWN["project"]["dependencies"]) == names(WHOLE["project"]["optional-dependencies"]["agent"])
    scripts = WHOLE["project"]["scripts"]
    assert OWN["project"]["scripts"] == {name: scripts[name] for name in ("moorage-agent", "moorage-runner")}


def test_the_lock_pins_every_dependency_at_the_version_that_the_tests_run() -> None:
    own, whole = (dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)", path.read_text(), re.MULTILINE))
                  for path in (ROOT / "agent/requirements.txt", ROOT / "tests/requirements.txt"))  # fmt: skip
    assert set(names(OWN["project"]["dependencies"])) <= set(own)
    assert {name: version for name, version in own.items() if whole.get(name) != version} == {}
    assert not {"flask", "sqlalchemy", "gevent", "minio"} & set(own)


def test_it_installs_by_itself_with_all_its_packages(tmp_path: Path) -> None:
    made = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    shutil.copytree(ROOT / "agent", tmp_path / "src", ignore=made)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-build-isolation",
         "--disable-pip-version-check", "--target", str(tmp_path / "site"), str(tmp_path / "src")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "agent").rglob("*.py") if "build" not in path.parts}
    assert wanted <= {str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*.py")}
    code = "import agent.cli; assert 'site' in agent.__file__; agent.cli.agent(['--version'])"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert shown.stdout.strip() == f"moorage-agent, version {VERSION}", shown.stderr


def test_the_unit_names_options_that_exist_and_does_not_restart_a_revoked_agent() -> None:
    unit = (ROOT / "agent/moorage-agent.service").read_text()
    line = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    assert line
    options = {option for parameter in agent.commands["run"].params for option in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", line[1])) <= options
    assert "RestartPreventExitStatus=3" in unit
