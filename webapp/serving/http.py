"""gunicorn for the API and for the sockets: the same application, another kind of worker."""

from __future__ import annotations

import gc
import shutil
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # gunicorn has no types

from webapp import create_app
from webapp.logs import log_config, log_the_uncaught
from webapp.serving.running import Running
from webapp.settings import Settings, export

# An idle connection that is kept longer may make a stop wait for it (a proxy reuses its own within a second).
KEEP_ALIVE_SECONDS = 2
# The stop as a whole has 30 s: what runs may take these, the rest is for gunicorn's own end.
GRACE_SECONDS = 28
# The lab's measure for one gevent process; beyond, connections wait in the backlog.
SOCKETS = 6000


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn without a configuration file or command line of its own."""

    def __init__(self, settings: Settings, options: dict[str, Any]) -> None:
        self._settings, self._options = settings, options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return create_app(self._settings)


def serve(process: str, settings: Settings, host: str, **kind: Any) -> None:
    """Serve until SIGTERM: then stop accepting, finish what runs, end within 30 s. Does not return."""
    counters = settings.run_dir / f"metrics-{process}"
    shutil.rmtree(counters, ignore_errors=True)  # numbers of a run before would be added to this one's
    counters.mkdir(parents=True)
    export(PROMETHEUS_MULTIPROC_DIR=str(counters))
    log_the_uncaught()
    from webapp import metrics  # noqa: PLC0415 - it reads that variable when it is loaded

    running = Running(process, settings.port)
    options = {
        "bind": f"{host}:{settings.port}",
        "proc_name": f"moorage-{process}",
        "preload_app": True,  # loaded once and shared by fork: the workers' memory is mostly this
        "keepalive": KEEP_ALIVE_SECONDS,
        "graceful_timeout": GRACE_SECONDS,
        "timeout": 60,
        "worker_tmp_dir": str(settings.run_dir),
        "control_socket_disable": True,  # it would be written to a root file system that is read-only
        "logconfig_dict": log_config(settings.log_level),
        "when_ready": lambda _server: running.announce(settings.run_dir),
        # What is loaded stays: a collector that never touches it leaves its pages shared with the workers.
        "pre_fork": lambda _server, _worker: gc.freeze(),
        # What a worker that ended had open is open no more.
        "child_exit": lambda _server, worker: metrics.forget_process(worker.pid),
    }
    Server(settings, options | kind).run()
