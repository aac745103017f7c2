"""Prometheus, Alertmanager and the exporters as processes of a test: each on a port of its own, each stopped again."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.watching.packages import unpacked
from webapp.local.ports import free_port

SECONDS = 20
# Debian's Alertmanager reads its templates from /usr/share: it gets a view of the machine in which they are there.
NEEDS_ITS_SHARE = {"prometheus-alertmanager"}
SHARED = ["unshare", "--map-root-user", "--mount", "sh", "-ec", 'mount --bind "$0" /usr/share; exec "$@"']


@dataclass(frozen=True)
class Watcher:
    """One that answers on 127.0.0.1."""

    port: int
    log: Path

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.target}"

    def get(self, path: str, **query: str) -> Any:
        """What it says; JSON where it is JSON."""
        url = f"{self.url}{path}{'?' if query else ''}{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
            return json.loads(text) if answer.headers.get_content_type() == "application/json" else text

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series that Prometheus finds now."""
        found: list[dict[str, Any]] = self.get("/api/v1/query", query=query)["data"]["result"]
        return found


@contextmanager
def started(package: str, ready: str, folder: Path, *arguments: str, **environment: str) -> Iterator[Watcher]:
    """The program of a package, once it answers at the path `ready`. `{port}` in an argument is its port."""
    port, root = free_port(), unpacked(package)
    log = folder / f"{package}.log"
    program = [str(root / "usr/bin" / package), *(argument.replace("{port}", str(port)) for argument in arguments)]
    command = program if package not in NEEDS_ITS_SHARE else [*SHARED, str(root / "usr/share"), *program]
    with log.open("ab") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, env={"HOME": str(folder)} | environment)
    watcher = Watcher(port, log)
    try:
        until(lambda: _answers(watcher, ready, process), log)
        yield watcher
    finally:
        process.terminate()
        process.wait(10)


def _answers(watcher: Watcher, ready: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, watcher.log.read_text()
    try:
        watcher.get(ready)
    except OSError:
        return False
    return True


def until(true: Any, log: Path | None = None) -> None:
    """Returns when it is true."""
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, log.read_text()[-3000:] if log else "waited for in vain"
        time.sleep(0.1)


@contextmanager
def prometheus(folder: Path, *arguments: str, **configuration: Any) -> Iterator[Watcher]:
    """Prometheus with this configuration, which looks every second."""
    path = folder / "prometheus.yml"
    looks = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    path.write_text(yaml.safe_dump({"global": looks, **configuration}))
    files = (f"--config.file={path}", f"--storage.tsdb.path={folder}/data")
    web = unpacked("prometheus") / "usr/share/prometheus/web"
    console = (f"--web.console.templates={web}", f"--web.console.libraries={web}")
    given = (*files, *console, "--web.listen-address=127.0.0.1:{port}", *arguments)
    with started("prometheus", "/-/ready", folder, *given) as watcher:
        yield watcher
