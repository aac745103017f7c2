"""`env.example`, written from the Settings' own words so that it cannot disagree with them."""

from __future__ import annotations

from webapp.settings import variables, wanted
from webapp.variables import Variable

_HEAD = """\
# Every variable of the control plane: its meaning, what it must be, its default, where its secret is kept.
# Written by `moorage settings example`; do not edit by hand.
"""


def env_example() -> str:
    """The text of env.example: one block a variable, in the order of Settings."""
    return _HEAD + "".join("\n" + _block(name, known) for name, known in variables().items())


def _block(name: str, known: Variable) -> str:
    lines = [f"# {known.meaning}", f"# {wanted(known)}."]
    if known.kept:
        lines.append(f"# Secret, kept in {known.kept}.")
    if known.default is not None:
        return "\n".join([*lines, f"# Default: {known.default}", f"#{name}={known.default}", ""])
    if known.optional:
        return "\n".join([*lines, "# Optional.", f"#{name}=", ""])
    return "\n".join([*lines, "# Required.", f"{name}=", ""])
