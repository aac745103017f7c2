"""What a running process leaves for `moorage health` to find, in RUN_DIR: one small file per process."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

# The worker says that it is alive every 5 s: three missed in a row and a bit mean that its loop is stuck.
BEAT_SECONDS = 5.0
STALE_SECONDS = 20.0


@dataclass(frozen=True)
class Running:
    """A process that serves: an HTTP one has a port, the worker beats instead."""

    process: str
    port: int | None = None

    def announce(self, run_dir: Path) -> Path:
        """Write the file anew; its time is the beat."""
        run_dir.mkdir(parents=True, exist_ok=True)
        path = run_dir / f"{self.process}.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(path)
        return path


def announced(run_dir: Path) -> list[tuple[Running, float]]:
    """Every process that announced itself here, and the seconds since its last beat."""
    now = time.time()
    return [
        (Running(**json.loads(path.read_text())), now - path.stat().st_mtime) for path in sorted(run_dir.glob("*.json"))
    ]
