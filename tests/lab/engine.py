"""The Docker engine on the outer machine: one that already answers, else our own, started and stopped here.

No service manager is needed. Ours has a data root, run-time folder, process file and socket of its own, so
that it never collides with another engine.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.cache import cache_dir, lock
from tests.lab.errors import CommandError, LabError
from tests.lab.machine import install, require_root
from tests.lab.progress import say

RUN = Path("/run/moorage-lab")
SOCKET = f"unix://{RUN}/docker.sock"
PIDFILE = RUN / "docker.pid"
START_SECONDS = 60
# The engine's own bridge, for image builds alone: clear of 172.17-172.29, a nested engine's defaults.
BUILD_BRIDGE = "172.30.0.1/24"


@dataclass(frozen=True)
class Engine:
    """An engine that answers, and the client that fits it."""

    client: str
    socket: str

    @property
    def ours(self) -> bool:
        """Whether the lab started this engine, and so is the one to stop it."""
        return self.socket == SOCKET

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which any client talks to this engine, building with BuildKit."""
        where = {"DOCKER_HOST": self.socket} if self.socket else {}
        return {**os.environ, **where, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}

    def run(self, *arguments: str, given: str | None = None, timeout: float = 900) -> str:
        """Run the client and return what it printed; raise CommandError with its whole output."""
        done = self.attempt(*arguments, given=given, timeout=timeout)
        if done.returncode:
            raise CommandError(["docker", *arguments], done.returncode, done.stdout + done.stderr)
        return done.stdout

    def attempt(
        self, *arguments: str, given: str | None = None, timeout: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """Run the client and return the finished process, whatever its code."""
        return subprocess.run(
            [self.client, *arguments],
            env=self.environment,
            input=given,
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
        )

    def inspect(self, kind: str, name: str, template: str) -> str | None:
        """One formatted field of an object, or None when there is no such object."""
        done = self.attempt(kind, "inspect", "--format", template, name)
        return done.stdout.strip() if done.returncode == 0 else None

    def labelled(self, kind: str, label: str = "moorage.lab") -> list[str]:
        """Names (containers: ids) of objects of a kind (`container`, `volume`, `network`) with a label."""
        everything = ["-a"] if kind == "container" else []
        return self.run(kind, "ls", "-q", *everything, "--filter", f"label={label}").split()


def _clients() -> Iterator[str]:
    # The distribution's client first: another one on the path may lack the means to build (buildx).
    for path in ("/usr/bin/docker", shutil.which("docker")):
        if path and Path(path).exists():
            yield path


def find() -> Engine | None:
    """An engine that answers: DOCKER_HOST's, the default one, or ours; None when none does."""
    sockets = [os.environ["DOCKER_HOST"]] if os.environ.get("DOCKER_HOST") else ["", SOCKET]
    for socket in sockets:
        for client in _clients():
            engine = Engine(client, socket)
            if engine.attempt("version", "--format", "{{.Server.Version}}", timeout=20).returncode == 0:
                return engine
    return None


def ensure() -> Engine:
    """The engine that answers, installed and started when there is none. Raises LabError."""
    require_root()
    with lock("engine"):
        engine = find()
        if engine:
            return engine
        if os.environ.get("DOCKER_HOST"):
            where = os.environ["DOCKER_HOST"]
            raise LabError(f"No engine answers at DOCKER_HOST={where}. Start it, or unset the variable.")
        install(["docker.io", "iptables"], if_known=["docker-cli", "docker-buildx"])
        return find() or _start()


def _start() -> Engine:
    RUN.mkdir(mode=0o711, exist_ok=True)
    journal = RUN / "engine.log"
    say("starting the Docker engine", "dockerd to answer")
    command = [
        "dockerd",
        "-H",
        SOCKET,
        "--data-root",
        str(cache_dir("engine")),
        "--exec-root",
        str(RUN / "exec"),
        "--pidfile",
        str(PIDFILE),
        "--bip",
        BUILD_BRIDGE,
        "--log-opt",
        "max-size=20m",
    ]
    with journal.open("w") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        engine = find()
        if engine:
            return engine
        time.sleep(0.2)
    if daemon.poll() is None:
        daemon.terminate()
    last = "\n".join(journal.read_text().splitlines()[-15:])
    raise LabError(f"dockerd did not start within {START_SECONDS} s. Its last lines:\n{last}")


def stop_when_idle() -> bool:
    """Stop our engine when no lab is left on it, never another's; say whether it was stopped."""
    with lock("engine"):
        engine = find()
        # Also what is no lab: the stages of tests/lab/backups.
        if engine is None or not engine.ours or engine.run("ps", "--quiet").strip():
            return False
        say("stopping the Docker engine", "dockerd to end")
        pid = int(PIDFILE.read_text())
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                _reap(pid)
                os.kill(pid, 0)
                time.sleep(0.1)
            raise LabError(f"dockerd (process {pid}) did not end within 30 s; see {RUN}/engine.log.")
    shutil.rmtree(RUN, ignore_errors=True)
    return True


def _reap(pid: int) -> None:
    # A daemon that this very process started stays a zombie, and looks alive, until it is waited for.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
