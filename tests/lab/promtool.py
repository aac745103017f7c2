"""promtool, out of the lab's Prometheus image; the rules as the example inventory has them, and their unit tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.lab import engine as engines
from tests.lab.cache import cache_dir
from tests.lab.recipes import ensure_image

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "roles/monitoring"
CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load((Path(__file__).parent / "alert_cases.yml").read_text())


def rules(render: Callable[..., Any], **given: Any) -> str:
    """The rule file that the role writes for the example inventory."""
    text = render(ROLE / "templates/rules.yml.j2", role_path=str(ROLE), **given)
    assert isinstance(text, str)
    return text


def unit_tests() -> dict[str, dict[str, Any]]:
    """The cases in promtool's words: a file for each time between two samples, so that a week need not be minutes."""
    everies = {case.get("every", "1m") for cases in CASES.values() for case in cases}
    return {f"tests-{every}.yml": _file(every) for every in sorted(everies)}


def _file(every: str) -> dict[str, Any]:
    tests = [
        {
            "name": f"{alert} {number}",
            "interval": every,
            "input_series": [{"series": name, "values": str(values)} for name, values in case["with"].items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
                    "eval_time": case["at"],
                    "exp_samples": [{"labels": "{}", "value": case["firing"]}],
                }
            ],
        }
        for alert, cases in CASES.items()
        for number, case in enumerate(cases, 1)
        if case.get("every", "1m") == every
    ]
    return {"rule_files": ["rules.yml"], "evaluation_interval": every, "tests": tests}


def promtool(folder: Path, *words: str) -> tuple[int, str]:
    """Exit code and output of promtool, run in the folder."""
    done = subprocess.run([_binary(), *words], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def _binary() -> Path:
    """promtool, taken out of the image once: any machine that the lab runs on has the C library that it wants."""
    engine = engines.ensure()
    image = ensure_image(engine, "prometheus")
    binary = cache_dir("promtool") / image.rpartition(":")[2]
    if not binary.exists():
        container = engine.run("create", image).strip()
        try:
            engine.run("cp", f"{container}:/usr/bin/promtool", f"{binary}.part")
        finally:
            engine.attempt("rm", container)
        Path(f"{binary}.part").rename(binary)
    return binary
