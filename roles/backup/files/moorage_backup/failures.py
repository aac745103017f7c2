"""What can go wrong, each with the words for whoever is woken by it."""

from __future__ import annotations


class Failure(Exception):
    """A backup or a restore ended without its purpose; the text says what happened and what to do."""


class Refused(Failure):
    """Nothing was begun, and nothing was changed."""


class CommandFailed(Failure):
    """A program ended badly.

    Args:
        program: its name.
        code: its exit code; None where it was ended for taking too long.
        said: the end of what it wrote to standard error.
    """

    def __init__(self, program: str, code: int | None, said: str) -> None:
        how = "did not end in time and was ended" if code is None else f"ended with code {code}"
        super().__init__(f"{program} {how}: {said.strip()[-2000:] or 'it said nothing'}")
        self.code = code
        self.said = said


class WrongKey(Refused):
    """The key at hand does not open the target."""


class Unreachable(Failure):
    """The target does not answer, or does not let us in."""


class Damaged(Failure):
    """What is stored is not what was stored."""
