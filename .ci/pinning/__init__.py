"""What a name stands for today: digests of images, commits of workflow actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class LookupFailed(Exception):
    """Something has no digest or commit to give; the text says what, why, and what to do."""


@dataclass(frozen=True)
class Pin:
    """One name in a text: what it is pinned to (empty: nothing yet), and where in the text to write that."""

    name: str
    current: str
    start: int
    end: int


@dataclass(frozen=True)
class Kind:
    """How one sort of pin is found in a text, looked up, and written in its place."""

    find: Callable[[str], list[Pin]]
    look_up: Callable[[str], str]
    write: Callable[[str, str], str]
