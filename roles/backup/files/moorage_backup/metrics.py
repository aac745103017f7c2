"""Numbers for the node exporter: files of Prometheus' text format, each replaced whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from moorage_backup import sealing

_LINE = re.compile(r"^(?P<series>[a-z_]+\{[^}]*\}) (?P<value>\S+)$", re.MULTILINE)


def update(path: Path, values: Mapping[tuple[str, str], float]) -> None:
    """Set series of a file and keep its others.

    Args:
        values: metric and target to value.
    """
    known = read(path) | {_series(metric, target): _number(value) for (metric, target), value in values.items()}
    # 0644: the exporter is another user.
    sealing.write(path, exposition(known), mode=0o644)


def read(path: Path) -> dict[str, str]:
    """The series of a file to their values; none where there is no file."""
    text = path.read_text() if path.exists() else ""
    return {match["series"]: match["value"] for match in _LINE.finditer(text)}


def value(path: Path, metric: str, target: str) -> float | None:
    """One series' value, or None."""
    found = read(path).get(_series(metric, target))
    return None if found is None else float(found)


def _series(metric: str, target: str) -> str:
    return f'{metric}{{target="{target}"}}'


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def exposition(series: Mapping[str, str]) -> str:
    """The text of a file. Pure."""
    out, last = [], ""
    for name, value in sorted(series.items()):
        metric = name.partition("{")[0]
        if metric != last:
            out.append(f"# TYPE {metric} gauge")
            last = metric
        out.append(f"{name} {value}")
    return "\n".join(out) + "\n"
