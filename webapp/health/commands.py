"""`moorage health`: the container's health check. Runs every few seconds, so it imports next to nothing."""

from __future__ import annotations

import http.client

import click

from webapp.failures import Failure
from webapp.serving.running import STALE_SECONDS, Running, announced
from webapp.settings import Settings

TIMEOUT_SECONDS = 4


class Unhealthy(Failure):
    code = "UNHEALTHY"


@click.command()
def health() -> None:
    """Ask the processes that run here whether they are alive; ends with 0 only if all are."""
    found = announced(Settings.load().run_dir)
    if not found:
        raise Unhealthy("No process of Moorage runs here: none has announced itself in RUN_DIR.")
    for running, age in found:
        (_alive if running.port else _beating)(running, age)
        click.echo(f"{running.process}: alive")


def _alive(running: Running, _age: float) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port or 0, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/api/v1/health/live")
        status = connection.getresponse().status
    except OSError as error:
        raise Unhealthy(f"{running.process} does not answer on port {running.port}: {error}.") from error
    finally:
        connection.close()
    if status != 200:
        raise Unhealthy(f"{running.process} answers {status} to /api/v1/health/live.")


def _beating(running: Running, age: float) -> None:
    if age > STALE_SECONDS:
        raise Unhealthy(f"{running.process} has not beaten for {age:.0f} s.")
