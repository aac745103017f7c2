#!/usr/bin/python3
"""Tells Prometheus what only the host knows: which containers run, where the slots are, what was released.

usage: moorage-watch look|secrets [--check]

`look`, by a timer, asks the engine once and writes containers.prom, release.prom and Prometheus' targets. `secrets`
brings the files that hold one secret each to what .env says; with --check it exits 1 where one differs, and writes
nothing.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

CONFIG = Path("/etc/moorage/watch.json")
ENGINE = "/var/run/docker.sock"
SLOT = re.compile(r"(?P<service>.+)-(?P<slot>blue|green)")
Json = dict[str, Any]


class Engine(http.client.HTTPConnection):
    """The Docker engine on its socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(ENGINE)


def containers(project: str) -> list[Json]:
    """The project's containers, stopped ones too; jobs left out. Raises OSError, http.client.HTTPException."""
    wanted = quote(json.dumps({"label": [f"com.docker.compose.project={project}"]}))
    engine = Engine("localhost", timeout=10)
    try:
        engine.request("GET", f"/containers/json?all=1&filters={wanted}")
        found = json.loads(engine.getresponse().read())
    finally:
        engine.close()
    return [entry for entry in found if entry["Labels"].get("com.docker.compose.oneoff") != "True"]


def expected(infrastructure: list[str], release: Json, units: list[str]) -> list[str]:
    """Compose services that are to run: those without slots, and of each declared unit the slot that serves. Pure.

    What is no longer declared stays among the release's records for the way back, and runs no more.
    """
    names = list(infrastructure) if release.get("units") else []
    for unit, state in release.get("units", {}).items():
        if unit not in units:
            continue
        slot = state.get("active")
        names += [f"{name}-{slot}" for name in state.get("definitions", {}).get(slot, {}).get("services", {})]
    return names


def parted(name: str) -> dict[str, str]:
    """A Compose service's name as labels: service, and slot where it has one. Pure."""
    match = SLOT.fullmatch(name)
    return match.groupdict() if match else {"service": name}


def sample(metric: str, labels: dict[str, Any], value: float) -> str:
    """One line of Prometheus' text format. Pure."""

    def plain(text: Any) -> str:
        return str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")

    inside = ",".join(f'{name}="{plain(text)}"' for name, text in labels.items())
    return f"{metric}{{{inside}}} {value:.16g}"


def container_lines(wanted: list[str], found: list[Json]) -> list[str]:
    """containers.prom: 1 for each service that runs, 0 for each that should and does not, or is unhealthy. Pure."""
    states = {entry["Labels"]["com.docker.compose.service"]: entry for entry in found}
    running = {name for name, entry in states.items() if entry["State"] == "running"}
    return [
        "# HELP moorage_container_running 1 where a service's container runs.",
        "# TYPE moorage_container_running gauge",
        *(sample("moorage_container_running", parted(name), name in running) for name in sorted({*wanted, *running})),
        "# HELP moorage_container_healthy 0 where it runs and its own health check fails.",
        "# TYPE moorage_container_healthy gauge",
        *(
            sample("moorage_container_healthy", parted(name), "(unhealthy)" not in states[name]["Status"])
            for name in sorted(running)
        ),
    ]


def targets(scrapes: dict[str, int], wanted: list[str], found: list[Json]) -> list[Json]:
    """What Prometheus asks of the product: the slot that serves, though it be down; one that comes or goes. Pure."""
    running = {entry["Labels"]["com.docker.compose.service"] for entry in found if entry["State"] == "running"}
    return [
        {"targets": [f"{name}:{scrapes[labels['service']]}"], "labels": labels}
        for name in sorted({*wanted, *running})
        if (labels := parted(name))["service"] in scrapes
    ]


def release_lines(release: Json) -> list[str]:
    """release.prom, empty before the first release. Pure."""
    if not release.get("number"):
        return []
    at = datetime.fromisoformat(release["entry"]["at"]).timestamp() if release.get("entry", {}).get("at") else 0.0
    labels = {"number": release["number"], "tag": release.get("tag", "")}
    return [
        "# HELP moorage_release_info The release that serves.",
        "# TYPE moorage_release_info gauge",
        sample("moorage_release_info", labels, 1),
        "# HELP moorage_release_timestamp_seconds When it was sealed.",
        "# TYPE moorage_release_timestamp_seconds gauge",
        f"moorage_release_timestamp_seconds {at:.0f}",
    ]


def value_of(text: str, name: str) -> str:
    """A secret in .env as playbooks write it; '' where there is none. The last of two lines counts. Pure."""
    found = re.findall(rf"^{re.escape(name)}=(.*)$", text, re.MULTILINE)
    raw = found[-1].strip() if found else ""
    if len(raw) >= 2 and raw[0] == raw[-1] == '"':
        return re.sub(r"\\(.)", r"\1", raw[1:-1])
    return raw[1:-1] if len(raw) >= 2 and raw[0] == raw[-1] == "'" else raw


def write(path: Path, text: str, mode: int, owner: int = 0) -> None:
    """Replace a file; whoever reads it meanwhile gets the one before, whole."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "w") as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
        os.fchown(file.fileno(), owner, owner)
    Path(draft).replace(path)


def look(config: Json) -> None:
    """Ask, and write all three files; an engine that does not answer leaves them to grow old, which alerts."""
    root = Path(config["root"])
    sealed = root / "release.json"
    release = json.loads(sealed.read_text()) if sealed.exists() else {}
    try:
        found = containers(config["project"])
    except (OSError, ValueError, http.client.HTTPException) as error:
        sys.stderr.write(f"The engine does not say what runs: {error}\n")
        return
    wanted = expected(config["infrastructure"], release, config["units"])
    metrics = root / "metrics"
    write(metrics / "containers.prom", "\n".join(container_lines(wanted, found)) + "\n", 0o644)
    write(metrics / "release.prom", "".join(f"{line}\n" for line in release_lines(release)), 0o644)
    places = json.dumps(targets(config["scrapes"], wanted, found), indent=1)
    write(root / "monitoring/prometheus/targets/product.json", places, 0o644)


def secrets(config: Json, check: bool) -> bool:
    """True where a file differed. A file whose secret is gone, or that nobody names any more, goes."""
    root = Path(config["root"])
    text = (root / ".env").read_text()
    differed = False
    for reader, names in config["secrets"].items():
        folder = root / "monitoring/secrets" / reader
        held = {path.name: path.read_text() for path in folder.iterdir() if not path.name.startswith(".")}
        wanted = {name: value for name in names if (value := value_of(text, name))}
        for name in held.keys() | wanted.keys():
            if held.get(name) == wanted.get(name):
                continue
            differed = True
            if not check and name in wanted:
                write(folder / name, wanted[name], 0o400, folder.stat().st_uid)
            elif not check:
                (folder / name).unlink()
    return differed


def main(arguments: list[str]) -> int:
    """Entry point of the script."""
    config = json.loads(CONFIG.read_text())
    if arguments == ["look"]:
        secrets(config, check=False)
        look(config)
        return 0
    if arguments in (["secrets"], ["secrets", "--check"]):
        check = arguments[1:] == ["--check"]
        return int(secrets(config, check) and check)
    sys.stderr.write(__doc__ or "")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
