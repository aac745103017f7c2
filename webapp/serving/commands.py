"""`moorage serve`: the three processes of the one image."""

from __future__ import annotations

import importlib
import os
import sys

import click

from webapp.settings import Settings

host_option = click.option("--host", default="0.0.0.0", show_default=True, help="The address to answer on.")  # noqa: S104 - in a container the network decides who reaches it


@click.group()
def serve() -> None:
    """Run one of the processes in the foreground, until SIGTERM."""


@serve.command()
@host_option
def api(host: str) -> None:
    """HTTP on threads."""
    _main("webapp.serving.api", Settings.load(), host)


@serve.command()
@host_option
def sockets(host: str) -> None:
    """Websockets (and all of HTTP) on gevent."""
    Settings.load()  # refuses here, before the process is replaced
    os.execv(sys.executable, [sys.executable, "-m", "webapp.serving.sockets", host])  # noqa: S606 - this very interpreter


@serve.command()
def worker() -> None:
    """Jobs that outlive a request."""
    _main("webapp.serving.worker", Settings.load())


def _main(module: str, *arguments: object) -> None:
    # Loaded when it is the one to run: gunicorn and procrastinate need not share a process's memory.
    importlib.import_module(module).main(*arguments)
