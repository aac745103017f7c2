"""The program beside a real Prometheus that was looking at two checks for days, and beside one that is gone."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moorage_status import __main__ as program
from moorage_status import asking, days

from tests.watching.packages import unpacked
from tests.watching.processes import Watcher, prometheus

NOW = time.time() // 60 * 60 + 30
TODAY, YESTERDAY, BEFORE = reversed(days.window(NOW, 3))
# Minutes of yesterday. The first began ten minutes before its midnight.
DOWN, BLINK, UNSEEN = (0, 15), (720, 721), (900, 960)


def value(check: str, at: float) -> int | None:
    """What the exporter found at a moment; None where Prometheus did not look."""
    minute = int((at - days.midnight(YESTERDAY)) // 60)
    if UNSEEN[0] <= minute < UNSEEN[1] or (check == 'the "web"' and at > NOW - 1200):
        return None
    failed = check == "api" and (-10 <= minute < DOWN[1] or minute == BLINK[0])
    return 0 if failed else 1


@pytest.fixture(scope="module")
def watcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watcher]:
    """Prometheus with what it would have scraped, four times a minute."""
    folder = tmp_path_factory.mktemp("prometheus")
    lines = ["# TYPE probe_success gauge"]
    for check in ("api", 'the "web"'):
        label = check.replace('"', '\\"')
        moments = [days.midnight(BEFORE) + 7 + n * 15 for n in range(int((NOW - days.midnight(BEFORE)) // 15))]
        for at in moments:
            if (found := value(check, at)) is not None:
                lines.append(f'probe_success{{check="{label}"}} {found} {at:.0f}')
    (folder / "past").write_text("\n".join([*lines, "# EOF\n"]))
    command = [unpacked("prometheus") / "usr/bin/promtool", "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run([*command, folder / "past", folder / "data"], check=True, capture_output=True)
    with prometheus(folder, scrape_configs=[]) as running:
        yield running


def run(folder: Path, where: str | None, now: float = NOW) -> Any:
    """What status.json says after a run."""
    checks = [{"name": "api", "title": "API"}, {"name": 'the "web"', "title": "Website"}]
    config = {"title": "example.com", "days": 90, "checks": checks, "container": "moorage-no-such-container"}
    given = {"prometheus": where} if where else {}
    paths = {"folder": str(folder), "history": str(folder / "history.json")}
    (folder / "config.json").write_text(json.dumps({**config, **given, **paths}))
    assert program.main([str(folder / "config.json")], now) == 0
    return json.loads((folder / "status.json").read_text())


def test_it_says_what_prometheus_saw(watcher: Watcher, tmp_path: Path) -> None:
    said = run(tmp_path, watcher.url)
    api, web = said["checks"]
    assert (api["state"], web["state"], said["state"]) == ("up", "unknown", "unknown")
    assert web["no_data_since"] and "no_data_since" not in api
    by_day = {day["date"]: day for day in api["days"]}
    assert len(by_day) == 90
    assert by_day[BEFORE]["down_minutes"] == 10
    assert by_day[YESTERDAY]["down_minutes"] == 15 + 1
    assert by_day[YESTERDAY]["uptime"] == pytest.approx(1 - 16 / (1440 - 60))
    assert by_day[days.window(NOW, 90)[0]]["uptime"] is None
    [incident] = said["incidents"]
    assert (incident["check"], incident["minutes"]) == ("API", 25)


def test_what_prometheus_forgets_is_kept(watcher: Watcher, tmp_path: Path) -> None:
    before = run(tmp_path, watcher.url)
    with prometheus(tmp_path, scrape_configs=[]) as empty:
        after = run(tmp_path, empty.url)
    assert after["checks"][0]["days"] == before["checks"][0]["days"]
    assert after["incidents"] == before["incidents"]


def test_days_that_are_over_are_asked_for_once(watcher: Watcher, tmp_path: Path, monkeypatch) -> None:
    run(tmp_path, watcher.url)
    asked: list[float] = []

    def counted(_at: str, _check: str, begin: float, _end: float) -> list[tuple[float, float]]:
        asked.append(begin)
        return []

    monkeypatch.setattr(asking, "shares", counted)
    run(tmp_path, watcher.url)
    recent = {days.midnight(TODAY), days.midnight(YESTERDAY)}
    assert set(asked) <= recent and days.midnight(TODAY) in asked


@pytest.mark.parametrize("where", ["http://127.0.0.1:1", None])
def test_without_an_answer_it_says_since_when_and_fails_not(
    watcher: Watcher, tmp_path: Path, where: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, watcher.url)
    said = run(tmp_path, where, NOW + 3600)
    assert [check["state"] for check in said["checks"]] == ["unknown", "unknown"]
    assert all(check["no_data_since"] for check in said["checks"])
    assert "No data since" in (tmp_path / "index.html").read_text()
    assert "the page says so, too" in capsys.readouterr().err


def test_a_damaged_history_begins_anew(watcher: Watcher, tmp_path: Path) -> None:
    before = run(tmp_path, watcher.url)
    (tmp_path / "history.json").write_text("{")
    assert run(tmp_path, watcher.url)["checks"] == before["checks"]


def test_everybody_may_read_what_it_writes_and_nothing_is_left_over(watcher: Watcher, tmp_path: Path) -> None:
    run(tmp_path, watcher.url)
    names = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    served = {"index.html", "status.json", "style.css"}
    assert names.keys() == served | {"config.json", "history.json"} and all(names[name] == 0o644 for name in served)


def test_it_runs_on_the_hosts_own_python(tmp_path: Path) -> None:
    """Debian 12 has 3.11, and nothing is installed for it."""
    run(tmp_path, None)
    files = Path(program.__file__).parents[1]
    command = ["/usr/bin/python3", "-B", "-m", "moorage_status", tmp_path / "config.json"]
    before = (tmp_path / "status.json").stat().st_mtime_ns
    subprocess.run(command, env={"PYTHONPATH": str(files)}, check=True)
    assert (tmp_path / "status.json").stat().st_mtime_ns > before
