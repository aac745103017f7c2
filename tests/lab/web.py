"""An HTTP client outside the host: names resolve to the lab's address, certificates are really checked."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "playbooks" / "plugins" / "module_utils"))
from http_probe import Answer, ask


@dataclass(frozen=True)
class Client:
    """Asks the product's names at one address."""

    address: str
    root: str

    def get(self, url: str, **headers: str) -> Answer:
        """One GET; header names have `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(url, self.address, self.root, named, 10.0)

    def api(self, path: str) -> Answer:
        """One GET of the control plane."""
        return self.get(f"https://api.moorage.test{path}")

    def until(self, path: str, right: Callable[[Answer], bool], seconds: float = 30) -> Answer:
        """Ask until the answer is right; else an AssertionError with the last one."""
        end = time.monotonic() + seconds
        while True:
            try:
                answer = self.api(path)
                if right(answer):
                    return answer
                last = repr(answer)
            except OSError as error:
                last = repr(error)
            assert time.monotonic() < end, last
            time.sleep(0.3)
