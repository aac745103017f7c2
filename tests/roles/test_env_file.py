"""The host's .env: secrets are made once, put there on request, and never read back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "playbooks/plugins/modules/env_file.py"


def run(check=False, **args):
    given = json.dumps({"ANSIBLE_MODULE_ARGS": {**args, "_ansible_check_mode": check}})
    wrapper = (
        "import runpy; from tests.rendering import share_module_utils; from ansible.module_utils.testing import "
        "patch_module_args\nshare_module_utils()\n"
        f"with patch_module_args({json.loads(given)['ANSIBLE_MODULE_ARGS']!r}):\n"
        f"    runpy.run_path({str(MODULE)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", wrapper], cwd=ROOT, capture_output=True, text=True, check=False)
    return json.loads(done.stdout), done.stdout + done.stderr


def test_a_secret_is_made_once_and_kept(tmp_path):
    path = tmp_path / ".env"
    wanted = [{"name": "A_PASSWORD", "generate": 24}]
    first, _ = run(path=str(path), secrets=wanted)
    text = path.read_text()
    second, _ = run(path=str(path), secrets=wanted)
    assert first["changed"] and first["written"] == ["A_PASSWORD"]
    assert not second["changed"]
    assert path.read_text() == text
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_value_is_ever_in_the_output(tmp_path):
    path = tmp_path / ".env"
    _, made = run(path=str(path), secrets=[{"name": "A", "generate": 24}])
    value = path.read_text().split("'")[-2]
    _, put = run(path=str(path), name="B", value="canary-4711")
    assert value not in made
    assert "canary-4711" not in put


def test_a_secret_that_nobody_can_make_up_is_asked_for_and_nothing_is_changed(tmp_path):
    path = tmp_path / ".env"
    result, _ = run(path=str(path), secrets=[{"name": "TELEGRAM_BOT_TOKEN"}, {"name": "A", "generate": 8}])
    assert result["failed"]
    assert "set_secret.yml -e name=NAME" in result["msg"] and "TELEGRAM_BOT_TOKEN" in result["msg"]
    assert not path.exists()


def test_check_mode_tells_and_changes_nothing(tmp_path):
    path = tmp_path / ".env"
    result, _ = run(check=True, path=str(path), secrets=[{"name": "A", "generate": 8}])
    assert result["changed"] and not path.exists()


def test_putting_one_keeps_all_other_lines(tmp_path):
    path = tmp_path / ".env"
    path.write_text("# mine\nA='1'\nB='2'\n")
    run(path=str(path), name="A", value='it\'s $HOME \\ "x"')
    assert path.read_text() == '# mine\nA="it\'s \\$HOME \\\\ \\"x\\""\nB=\'2\'\n'
    again, _ = run(path=str(path), name="A", value='it\'s $HOME \\ "x"')
    assert not again["changed"]


@pytest.mark.parametrize(("name", "value"), [("lower", "x"), ("A-B", "x"), ("A", ""), ("A", "two\nlines")])
def test_bad_names_and_values_are_refused(tmp_path, name, value):
    result, _ = run(path=str(tmp_path / ".env"), name=name, value=value)
    assert result["failed"] and not (tmp_path / ".env").exists()


def test_a_file_that_others_may_read_is_closed(tmp_path):
    path = tmp_path / ".env"
    path.write_text("A='1'\n")
    path.chmod(0o644)
    result, _ = run(path=str(path), secrets=[{"name": "A", "generate": 8}])
    assert result["changed"] and path.stat().st_mode & 0o777 == 0o600
