"""Reads what Docker Compose would do and what really runs. Shared by the modules that start and plan."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

HASH_LABEL = "com.docker.compose.config-hash"
SERVICE_LABEL = "com.docker.compose.service"
PROJECT_LABEL = "com.docker.compose.project"


# A container without a health check that falls over does so within this time, restarted again and again.
SETTLED_SECONDS = 3


def _age(began: str) -> float:
    """Seconds since a time as the engine writes it (RFC 3339, nanoseconds); without one, long ago."""
    if not began:
        return float("inf")
    start = datetime.fromisoformat(began[:19] + "+00:00")
    return (datetime.now(UTC) - start).total_seconds()


class CommandFailed(Exception):
    """A docker command failed; its text is the end of the command's own output."""


class Running(NamedTuple):
    """One container as the engine sees it."""

    container: str
    config_hash: str
    state: str
    health: str
    restarts: int
    image: str
    began: str = ""

    @property
    def well(self) -> bool:
        """Runs, and is healthy where it says how to tell; where it does not, it has run for a while."""
        if self.state != "running":
            return False
        # A start that lies ahead is one of before the clock was set back.
        return self.health == "healthy" or (self.health == "" and not 0 <= _age(self.began) < SETTLED_SECONDS)


def run(
    command: list[str],
    cwd: str,
    timeout: int = 600,
    given: str | None = None,
    environment: dict[str, str] | None = None,
) -> str:
    """Standard output of a command, which gets `given` as its standard input.

    Raises:
        CommandFailed: with the last 15 lines that it said.
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            input=given or "",
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"`{' '.join(command)}` did not end within {timeout} s") from error
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise CommandFailed(f"`{' '.join(command)}` exited {done.returncode}: {said}")
    return done.stdout


def wanted_hashes(root: str, document: str = "") -> dict[str, str]:
    """Service to the hash of its configuration, as Compose itself computes it.

    Args:
        document: a Compose document to take in place of the folder's compose.yml.
    """
    source = ["-f", "-", "--project-directory", root] if document else []
    command = ["docker", "compose", *source, "--profile", "*", "config", "--hash", "*"]
    out = run(command, root, given=document, environment=_placeholders(root, document))
    return dict(line.split() for line in out.splitlines() if line.strip())


def _placeholders(root: str, document: str) -> dict[str, str]:
    """Something for each secret that a document needs and .env does not hold yet, as check mode has not made it.

    A secret with a default (`${NAME:-}`) is none of them: without it the stack runs with the default.
    """
    env = Path(root) / ".env"
    have = set(re.findall(r"^(\w+)=", env.read_text(), re.MULTILINE)) if env.exists() else set()
    return dict.fromkeys(set(re.findall(r"\$\{(\w+)(?!\w|:?-)", document)) - have, "not-made-yet")


def stop(root: str, names: list[str], seconds: int) -> None:
    """Stop and remove containers by their names, which needs no valid compose.yml."""
    run(["docker", "stop", "-t", str(seconds), *names], root, timeout=seconds + 60)
    run(["docker", "rm", "-f", *names], root)


def containers(root: str, project: str) -> dict[str, Running]:
    """Service to its container; one-off containers (`compose run`) are left out."""
    ids = run(
        [
            "docker",
            "ps",
            "-aq",
            "--filter",
            f"label={PROJECT_LABEL}={project}",
            "--filter",
            "label=com.docker.compose.oneoff=False",
        ],
        root,
    ).split()
    if not ids:
        return {}
    found = {}
    for entry in json.loads(run(["docker", "inspect", *ids], root)):
        labels = entry["Config"]["Labels"]
        found[labels[SERVICE_LABEL]] = Running(
            entry["Name"].lstrip("/"),
            labels.get(HASH_LABEL, ""),
            entry["State"]["Status"],
            entry["State"].get("Health", {}).get("Status", ""),
            entry["RestartCount"],
            entry["Config"]["Image"],
            entry["State"]["StartedAt"],
        )
    return found


def drift(services: list[str], wanted: dict[str, str], have: dict[str, Running]) -> dict[str, str]:
    """Why each service must be (re)started; services that are as declared are left out. Pure."""
    reasons = {}
    for service in services:
        running = have.get(service)
        if running is None:
            reasons[service] = "has no container"
        elif running.config_hash != wanted.get(service):
            reasons[service] = "its configuration changed"
        elif running.state != "running":
            reasons[service] = f"is {running.state}"
    return reasons


def last_lines(root: str, container: str, count: int = 25) -> list[str]:
    """The end of a container's log; empty where there is none."""
    done = subprocess.run(
        ["docker", "logs", "--tail", str(count), container], cwd=root, capture_output=True, text=True, check=False
    )
    return (done.stdout + done.stderr).splitlines()[-count:]


def wait_well(root: str, project: str, services: list[str], seconds: int) -> dict[str, Running]:
    """Wait until all services are well.

    Returns:
        those that are not, when the time is up or one restarts again and again; empty when all is well.
    """
    end = time.monotonic() + seconds
    before: dict[str, int] = {}
    while True:
        have = containers(root, project)
        for name, running in have.items():
            before.setdefault(name, running.restarts)
        ill = {name: have[name] for name in services if name in have and not have[name].well}
        ill |= {name: Running("", "", "missing", "", 0, "") for name in services if name not in have}
        looping = any(running.restarts - before.get(name, 0) >= 3 for name, running in ill.items())
        if not ill or looping or time.monotonic() > end:
            return ill
        time.sleep(0.3)


def explain(root: str, ill: dict[str, Running]) -> dict[str, Any]:
    """What a person needs of services that did not come up: state and last log lines, by service."""
    return {
        name: {
            "state": running.state,
            "health": running.health or "none declared",
            "restarts": running.restarts,
            "last_log_lines": last_lines(root, running.container) if running.container else [],
        }
        for name, running in ill.items()
    }
