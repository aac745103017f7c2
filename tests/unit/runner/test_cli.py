"""The runner's command as scripts use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.agent.serving import refusal
from tests.unit.runner.depot import MODULE, TOKEN, Depot

ROOT = Path(__file__).parents[3]


def call(depot: Depot, output: Path, *more: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from agent.cli import runner; runner()", "fetch", "--server", depot.url,
               "--vm-uuid", "vm-0000-1111", "--module", MODULE, "--platform", "linux", "--output", str(output),
               *more]  # fmt: skip
    given = {**os.environ, **env}
    return subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False, env=given)


@pytest.mark.parametrize(
    ("more", "stdin", "env"),
    [
        (["--token", TOKEN], "", {}),
        (["--token-file", "-"], f"{TOKEN}\n", {}),
        ([], "", {"MOORAGE_TOKEN": TOKEN}),
    ],
)
def test_the_token_comes_by_option_file_or_environment(
    depot: Depot, output: Path, more: list[str], stdin: str, env: dict[str, str]
) -> None:
    done = call(depot, output, *more, "--json", stdin=stdin, **env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sha256"] == depot.sha256 and output.read_bytes() == depot.content
    assert TOKEN not in done.stdout + done.stderr


def test_failures_are_one_line_with_a_code_and_exit_codes_say_which_kind(depot: Depot, output: Path) -> None:
    depot.sha256 = "0" * 64
    done = call(depot, output, "--token", TOKEN)
    assert (done.returncode, done.stdout) == (3, "") and done.stderr.startswith("SHA256_MISMATCH: ")
    depot.refuses["/license/lease"] = [refusal(403, "LICENSE_INACTIVE")]
    done = call(depot, output, "--token", TOKEN)
    assert done.returncode == 1 and done.stderr.startswith("LICENSE_INACTIVE: ")
    done = call(depot, output)
    assert done.returncode == 1 and done.stderr.startswith("TOKEN_MISSING: ")
    assert call(depot, output, "--nonsense").returncode == 2


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A process that fetches 100 MB may use no more than it does for 1 MB, and a little."""
    program = "import resource, sys; from agent.cli import runner\ntry: runner()\nfinally: " \
              "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"  # fmt: skip
    peaks = []
    for megabytes in (1, 100):
        depot = Depot(bytes(megabytes * 1_000_000))
        command = [sys.executable, "-c", program, "fetch", "--server", depot.url, "--vm-uuid", "vm-0000-1111",
                   "--module", MODULE, "--platform", "linux", "--output", str(tmp_path / f"{megabytes}"),
                   "--token", TOKEN]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        depot.close()
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stderr.split()[-1]) * 1024)
    assert peaks[1] - peaks[0] < 10_000_000, peaks
