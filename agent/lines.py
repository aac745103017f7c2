"""What carries words between the desk and the control plane: a socket, or polling where sockets are not possible."""

from __future__ import annotations

from typing import Protocol

from agent.commands import Outcome

# Longer than a server takes to answer, shorter than the 30 s after which it hands an unacknowledged command out again.
ANSWER_SECONDS = 15.0


class Lost(Exception):
    """The line is gone, or nobody answers on it. `code` is a socket's close code, where there was one."""

    def __init__(self, words: str, code: int | None = None) -> None:
        super().__init__(words)
        self.code = code


class Unwanted(Exception):
    """The server answered that it has no use for this: the command is unknown, over, or another's."""


class Line(Protocol):
    """Used by several threads at once."""

    def acknowledge(self, command_id: str) -> None:
        """Tells that the command is taken, and waits for the answer. Raises Lost, Unwanted."""

    def progress(self, command_id: str, percent: int | None, message: str) -> None:
        """Tells how far a command is; nothing waits for it and nothing is raised."""

    def deliver(self, command_id: str, outcome: Outcome) -> None:
        """Tells the outcome and waits until the server has it. Raises Lost, Unwanted."""

    def wanted(self) -> None:
        """A slot is free: the next command may come."""
