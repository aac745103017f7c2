"""The root of every error that a person is told: a code for programs, words for people."""

from __future__ import annotations


class Failure(Exception):
    """Raised with words that say what happened, what it means, and what to do next. They hold no secret."""

    code: str = "FAILED"
