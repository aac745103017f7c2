"""Writes the status page.

usage: python3 -m moorage_status CONFIG     (what is in CONFIG: roles/status/vars/main.yml)

Days that are over are asked for once and kept in `history`, so the page goes back 90 days whatever Prometheus keeps.
Where Prometheus does not answer, the page says since when nothing is known; the exit code is 0, for the page is right.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from moorage_status import asking, days, page

Config = dict[str, Any]


def main(arguments: list[str], now: float) -> int:
    """The whole walk, at a moment."""
    config: Config = json.loads(Path(arguments[0]).read_text())
    history = Path(config["history"])
    known = read(history)
    try:
        prometheus = config.get("prometheus") or asking.address_of(config["container"])
        for check in config["checks"]:
            known[check["name"]] = looked_up(prometheus, check["name"], known.get(check["name"], {}), config, now)
    except asking.NoAnswerError as error:
        sys.stderr.write(f"the page says so, too: {error}\n")
    write(history, json.dumps(known))
    report = page.report(config, known, now)
    folder = Path(config["folder"])
    write(folder / "status.json", json.dumps(report, indent=1) + "\n")
    write(folder / "index.html", page.html(report))
    write(folder / "style.css", (Path(__file__).parent / "style.css").read_text())
    return 0


def looked_up(prometheus: str, check: str, before: days.Days, config: Config, now: float) -> days.Days:
    """A check's days, those that are not sealed asked for anew. Raises asking.NoAnswerError."""
    found: days.Days = {}
    for day in days.window(now, config["days"]):
        if before.get(day, {}).get("sealed"):
            found[day] = before[day]
            continue
        begin = days.midnight(day)
        samples = asking.shares(prometheus, check, begin, min(now, begin + days.MINUTES * 60))
        made = days.day_of(day, samples, over=days.is_over(day, now))
        # Prometheus may have lost what was once seen: a day that is known better is kept.
        better = max(made, before.get(day, made), key=lambda one: one["known"])
        found[day] = {**better, "sealed": made["sealed"]}
    return found


def read(history: Path) -> dict[str, days.Days]:
    """What was kept; nothing where there is nothing yet, or it cannot be read."""
    try:
        kept: dict[str, days.Days] = json.loads(history.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        sys.stderr.write(f"{history} is damaged ({error}): beginning anew with what Prometheus has\n")
        return {}
    return kept


def write(path: Path, text: str) -> None:
    """In one step: whoever reads meanwhile gets the old or the new."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o644)
    Path(name).rename(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], time.time()))
