"""PostgreSQL's superuser, reached by the socket that asks for no password."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.compose_state import run
from ansible.module_utils.scram import verifier


def tell(root: Path, container: str, password: str) -> None:
    """Make the superuser's password this one. Can be done again.

    Raises:
        CommandFailed: with psql's words.
    """
    statement = f"ALTER ROLE postgres PASSWORD '{verifier(password)}'"
    command = ["docker", "exec", "-i", "-u", "postgres", container, "psql", "-qX", "-v", "ON_ERROR_STOP=1"]
    run(command, str(root), given=statement)
