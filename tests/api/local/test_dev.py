"""`moorage dev`: a change starts the control plane anew, a broken one does not end the rest."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

from tests.api.local.conftest import moorage, processes, wait_until_ready


def version(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def until_it_says(port: int, word: str) -> None:
    end = time.monotonic() + 20
    while word not in version(port):
        assert time.monotonic() < end, f"it never said {word!r}"
        time.sleep(0.1)


def test_it_follows_changes_also_through_a_broken_one(checkout: Path, port: int) -> None:
    popen = moorage(checkout, "dev", PORT=str(port))
    try:
        wait_until_ready(popen, port)
        page = checkout / "webapp" / "landing" / "page.py"
        good = page.read_text()
        time.sleep(0.5)  # until it watches
        page.write_text(good.replace("<h1>Moorage</h1>", "<h1>Changed once</h1>"))
        until_it_says(port, "Changed once")
        page.write_text("def half_typed(")
        assert popen.stdout is not None
        for line in popen.stdout:
            if line.startswith("sockets ended"):
                break
        page.write_text(good.replace("<h1>Moorage</h1>", "<h1>Changed again</h1>"))
        until_it_says(port, "Changed again")
    finally:
        page.write_text(good)
        popen.terminate()
        popen.communicate(timeout=40)
    assert popen.returncode == 0
    assert processes(checkout) == set()
