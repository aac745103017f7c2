"""One line per step, with the seconds since the command began, so that a long wait says what it waits for."""

import sys
import time

_began = time.monotonic()


def say(step: str, waiting_for: str = "") -> None:
    """Print `step` to standard error, which leaves standard output to results that programs read."""
    suffix = f" (waiting for {waiting_for})" if waiting_for else ""
    print(f"lab {time.monotonic() - _began:6.1f} s  {step}{suffix}", file=sys.stderr, flush=True)
