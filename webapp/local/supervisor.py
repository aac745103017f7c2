"""`moorage up` and `moorage dev`: everything the control plane needs, in the foreground, gone with Ctrl-C."""

from __future__ import annotations

import http.client
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from webapp.local import environment, postgres, store
from webapp.local.failures import LocalFailure
from webapp.local.lock import only_one
from webapp.local.ports import LOOPBACK, require_free
from webapp.local.processes import Child, start, stop_orphans
from webapp.redaction import Secret

# What runs may finish; the HTTP process and the worker have 30 s of their own.
STOP_SECONDS = 31
HEALTHY_SECONDS = 30
# The processes of the control plane itself.
OURS = ("sockets", "worker")


class Stopped(Exception):
    """Ctrl-C or SIGTERM came while something was being waited for."""


@dataclass
class Supervisor:
    """The processes of one checkout, in the order in which they were started."""

    state: Path
    port: int
    say: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)
    restart: threading.Event = field(default_factory=threading.Event)
    # In `dev` a half-typed file ends the control plane, and the next change starts it again.
    forgiving: bool = False
    children: list[Child] = field(default_factory=list)

    def run(self, *, beside: Callable[[Supervisor, ExitStack], None] = lambda _supervisor, _stack: None) -> None:
        """Until Ctrl-C, SIGTERM, or one of the processes ends. `beside` starts what runs next to them (`dev`).

        Raises AlreadyRunning, PortInUse, NotInstalled, RootRefused, LocalFailure; nothing is left behind then.
        """
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, self._stop)
        with only_one(self.state / "up.lock"), ExitStack() as stack:
            for orphan in stop_orphans(self.record):
                self.say(f"Stopped {orphan}, left behind by a run that was killed.")
            require_free(self.port)
            stack.callback(self._stop_children)
            try:
                self._start_all()
                beside(self, stack)
                self._watch()
            except Stopped:
                self.say("Stopping before everything had started.")

    @property
    def record(self) -> Path:
        return self.state / "processes"

    def _start_all(self) -> None:
        began = time.monotonic()
        # The heartbeats of a run before are not this one's.
        for path in (self.state / "run").glob("*.json"):
            path.unlink()
        path = self.state / "local.env"
        local = environment.local_environment(environment.read(path), port=self.port, run_dir=self.state / "run")
        self._start_servers(local)
        environment.write(path, local.values)
        self.say("Roles, migrations and bucket …")
        self._set_up(local)
        self._start_processes(local)
        self.say("Waiting for the control plane to be ready …")
        self._until(self._ready, HEALTHY_SECONDS, "the control plane is not ready")
        self._greet(time.monotonic() - began)

    def _start_servers(self, local: environment.LocalEnvironment) -> None:
        data = self.state / "postgres"
        self.say("Waiting for PostgreSQL and the S3 server …")
        postgres.initialise(data, Secret(local.values["LOCAL_ADMIN_PASSWORD"]))
        logs = self.state / "logs"
        logs.mkdir(exist_ok=True)
        database = postgres.launch(data, local.database_port, record=self.record, log=logs / "postgres.log")
        self.children.append(database)
        settings = local.settings()
        s3 = store.launch(
            self.state / "objects",
            local.store_port,
            settings.s3_access_key_id,
            settings.s3_secret_access_key,
            record=self.record,
            log=logs / "store.log",
        )
        self.children.append(s3)
        postgres.wait(database, data, unless=self.stop.is_set)
        store.wait(s3, local.store_port, unless=self.stop.is_set)
        self._stop_if_told()

    def _set_up(self, local: environment.LocalEnvironment) -> None:
        setup = start("setup", _moorage("setup"), record=self.record, environment=local.values)
        self.children.append(setup)
        self._until(lambda: not setup.alive(), 60, "`moorage setup` takes too long", but=setup)
        self._forget(setup)
        if setup.popen.returncode != 0:
            raise LocalFailure("`moorage setup` failed; its own words stand above.")

    def _start_processes(self, local: environment.LocalEnvironment) -> None:
        # The sockets process answers all of HTTP too, so one port does for both.
        for name, command in zip(OURS, (("sockets", "--host", LOOPBACK), ("worker",)), strict=True):
            self.children.append(start(name, _moorage("serve", *command), record=self.record, environment=local.values))
        self._local = local

    def _watch(self) -> None:
        """Until told to stop; starts the processes of the control plane anew when told to (`dev`)."""
        while not self.stop.wait(0.3):
            self._still_alive()
            if self.restart.is_set():
                self.restart.clear()
                self.say("Something changed: starting the control plane anew …")
                for child in [child for child in self.children if child.name in OURS]:
                    child.stop(STOP_SECONDS)
                    self._forget(child)
                self._start_processes(self._local)

    def _still_alive(self, but: Child | None = None) -> None:
        for child in self.children[:]:
            if child is but or child.alive():
                continue
            if self.forgiving and child.name in OURS:
                self.say(f"{child.name} ended (exit {child.popen.returncode}); the next change starts it again.")
                self._forget(child)
            else:
                raise LocalFailure(
                    f"{child.name} ended by itself (exit {child.popen.returncode}). {child.last_words()}".strip()
                )

    def _until(self, done: Callable[[], bool], seconds: float, otherwise: str, but: Child | None = None) -> None:
        end = time.monotonic() + seconds
        while not done():
            self._stop_if_told()
            self._still_alive(but)
            if time.monotonic() > end:
                raise LocalFailure(f"After {seconds:g} s {otherwise}. The logs are in {self.state / 'logs'}.")
            self.stop.wait(0.1)

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=5)
        try:
            connection.request("GET", "/api/v1/health/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _greet(self, seconds: float) -> None:
        base = f"http://{LOOPBACK}:{self.port}"
        self.say(f"Ready after {seconds:.1f} s.")
        self.say(f"  control plane   {base}/")
        self.say(f"  health          {base}/api/v1/health")
        self.say("  command line    .venv/bin/moorage --help   (same database and store, nothing to configure)")
        self.say("Ctrl-C stops everything.")

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stop.set()

    def _stop_if_told(self) -> None:
        if self.stop.is_set():
            raise Stopped

    def _stop_children(self) -> None:
        self.say("Stopping …")
        for child in reversed(self.children[:]):
            child.stop(STOP_SECONDS)
            self._forget(child)
        self.say("Stopped.")

    def _forget(self, child: Child) -> None:
        self.children.remove(child)
        (self.record / f"{child.name}.child").unlink(missing_ok=True)


def _moorage(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "webapp", *arguments]
