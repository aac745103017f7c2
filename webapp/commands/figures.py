"""What is counted of agents and commands in the processes that serve them; the worker's sweeps have no `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from webapp.metrics import agents_online, command_seconds, commands_total


@contextmanager
def agent_online() -> Iterator[None]:
    """An agent's socket is open meanwhile."""
    agents_online.inc()
    try:
        yield
    finally:
        agents_online.dec()


def count(command: Any) -> None:
    """A command (its row) has just come to its status."""
    commands_total.labels(command.status).inc()
    if command.completed_at is not None:
        command_seconds.observe((command.completed_at - command.queued_at).total_seconds())
