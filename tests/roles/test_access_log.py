"""What Caddy's access log says of a release: counted fast, over rolled files, by a log that Caddy itself wrote."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.roles.proxying import answering, caddy_running, free_port

NOW = 1795234686.5
# The log as roles/proxy declares it, rolled each megabyte.
CONFIGURATION = """
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    log {{
        output file {folder}/access.json {{
            roll_size 1MiB
        }}
        format filter {{
            wrap json
            request>uri query {{
                replace token REDACTED
            }}
        }}
    }}
    handle /dead {{
        reverse_proxy 127.0.0.1:1
    }}
    handle {{
        reverse_proxy 127.0.0.1:{backend}
    }}
}}
"""


@pytest.fixture(scope="module")
def log(plugin):
    return plugin("module_utils", "access_log")


def line(moment: float, status: int, agent: str = "curl/8", uri: str = "/a?token=canary", method: str = "GET") -> str:
    headers = {"User-Agent": [agent], "Pad": ["p" * 1000]}
    request = {"method": method, "host": "api.x.test", "uri": uri, "headers": headers}
    entry = {"level": "info", "ts": moment, "logger": "http.log.access.log0", "msg": "handled request"}
    entry |= {"request": request, "duration": 0.001, "size": 3, "status": status, "resp_headers": {"Via": ["h" * 300]}}
    return json.dumps(entry, separators=(",", ":")) + "\n"


@pytest.mark.parametrize(
    ("status", "answered", "failed"),
    [(200, 1, 0), (101, 1, 0), (404, 1, 0), (429, 1, 0), (499, 0, 0), (500, 0, 1), (502, 0, 1), (599, 0, 1), (0, 0, 1)],
)
def test_failures_are_the_servers_own(log, status, answered, failed):
    counted = log.tally([line(NOW, status).encode()], NOW)
    assert (counted["answered"], counted["failed"]) == (answered, failed)


def test_our_own_probes_and_what_was_before_are_left_out(log):
    lines = [line(NOW - 0.1, 502), line(NOW, 503, agent="moorage-probe"), line(NOW, 200, agent="moorage-probe")]
    assert log.tally([text.encode() for text in lines], NOW) == {"answered": 0, "failed": 0, "paths": []}


def test_failures_are_shown_without_their_query_five_at_most(log):
    lines = [line(NOW, 502, method="POST", uri=f"/api/{n}?X-Amz-Signature=canary").encode() for n in range(9)]
    counted = log.tally(lines, NOW)
    assert counted["failed"] == 9
    assert counted["paths"] == [f"502 POST api.x.test /api/{n}" for n in range(5)]


def test_a_client_cannot_write_a_status_into_the_log(log):
    forged = line(NOW, 200, agent='","status":500,"x":"', uri='/"status":500/"ts":1')
    assert log.tally([forged.encode()], NOW)["failed"] == 0


@pytest.mark.parametrize("cut", [0, 10, 60, 700, 1400])
def test_a_line_that_is_cut_is_passed_over(log, cut, tmp_path):
    whole = line(NOW, 502)
    (tmp_path / "access.json").write_text(whole[-cut:] * bool(cut) + line(NOW, 200) + whole[:cut])
    assert log.count(tmp_path, NOW)["answered"] == 1
    assert log.count(tmp_path, NOW)["failed"] <= 1


def test_no_log_is_no_request(log, tmp_path):
    assert log.count(tmp_path, NOW) == log.count(tmp_path / "nowhere", NOW) == {"answered": 0, "failed": 0, "paths": []}


@pytest.mark.parametrize("back", [0, 1, 7, 55, 59.998, 100])
def test_the_beginning_is_found_wherever_it_lies(log, tmp_path, back):
    began = NOW - 60
    moments = [began + n * 0.01 for n in range(6000)]
    (tmp_path / "access.json").write_text("".join(line(moment, 200) for moment in moments))
    since = NOW - back
    assert log.count(tmp_path, since)["answered"] == sum(moment >= since for moment in moments)


def rolled(folder: Path, name: str, moments: list[float], status: int = 200) -> None:
    content = "".join(line(moment, status) for moment in moments).encode()
    path = folder / name
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    os.utime(path, (moments[-1], moments[-1]))


def test_rolled_files_count_once_each_and_old_ones_are_not_read(log, tmp_path):
    rolled(tmp_path, "access-2026-11-21T04-00-00.000-size.json.gz", [NOW - 500, NOW - 400], status=500)
    rolled(tmp_path, "access-2026-11-21T04-10-00.000-size.json.gz", [NOW - 20, NOW - 9])
    rolled(tmp_path, "access-2026-11-21T04-11-00.000-size.json", [NOW - 8, NOW - 7])
    # Being compressed: both are there for a moment.
    rolled(tmp_path, "access-2026-11-21T04-11-00.000-size.json.gz", [NOW - 8, NOW - 7])
    rolled(tmp_path, "access.json", [NOW - 6, NOW])
    assert log.count(tmp_path, NOW - 10) == {"answered": 5, "failed": 0, "paths": []}


def test_a_file_that_is_rolled_while_it_is_read_counts_once(log, tmp_path):
    rolled(tmp_path, "access.json", [NOW, NOW])
    os.link(tmp_path / "access.json", tmp_path / "access-2026-11-21T04-12-00.000-size.json")
    assert log.count(tmp_path, NOW)["answered"] == 2


def test_an_archive_that_is_still_being_written_is_read_as_far_as_it_goes(log, tmp_path):
    rolled(tmp_path, "access-2026-11-21T04-10-00.000-size.json.gz", [NOW] * 2000)
    path = next(tmp_path.glob("*.gz"))
    path.write_bytes(path.read_bytes()[:-200])
    assert log.count(tmp_path, 0)["failed"] == 0


def test_of_a_busy_days_log_only_what_is_young_enough_is_read(log, tmp_path, monkeypatch):
    moments = [NOW - 60 + n / 500 for n in range(30_000)]
    third = len(moments) // 3
    rolled(tmp_path, "access-2026-11-21T04-10-00.000-size.json.gz", moments[:third])
    rolled(tmp_path, "access-2026-11-21T04-11-00.000-size.json", moments[third : 2 * third])
    rolled(tmp_path, "access.json", moments[2 * third :])
    assert log.count(tmp_path, NOW - 60)["answered"] == 30_000
    looked_at = []
    real = log._time
    monkeypatch.setattr(log, "_time", lambda line: looked_at.append(1) or real(line))
    assert log.count(tmp_path, NOW - 1)["answered"] == 500
    assert len(looked_at) < 6_000, "halving skips what is older"


class Backend(BaseHTTPRequestHandler):
    """Answers, fails, or takes its time."""

    def do_GET(self) -> None:
        time.sleep(1 if self.path == "/slow" else 0)
        self.send_response(503 if self.path.startswith("/ill") else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def caddy(tmp_path) -> Iterator[tuple[int, Path]]:
    """A real Caddy before a backend: its port, and the folder of its log."""
    folder = tmp_path / "log"
    folder.mkdir()
    port, configuration = free_port(), tmp_path / "Caddyfile"
    with answering(Backend) as backend:
        configuration.write_text(CONFIGURATION.format(port=port, folder=folder, backend=backend))
        with caddy_running(configuration, port, tmp_path / "out"):
            yield port, folder


def test_a_log_that_caddy_wrote_is_counted(log, caddy):
    port, folder = caddy
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
        get(client, "/before")
        time.sleep(0.05)
        since = time.time()
        for n in range(2500):
            get(client, f"/ok?token=canary&n={n}&pad={'p' * 300}")
        get(client, "/ill?token=canary")
        get(client, "/dead")
        get(client, "/ok", agent="moorage-probe")
    leave_early(port, "/slow")
    deadline = time.monotonic() + 10
    while log.count(folder, since)["failed"] < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.2)
    assert list(folder.glob("access-*.json*")), "Caddy has rolled the file at least once"
    assert log.count(folder, since) == {
        "answered": 2500,
        "failed": 2,
        "paths": [f"503 GET 127.0.0.1:{port} /ill", f"502 GET 127.0.0.1:{port} /dead"],
    }


def get(connection: http.client.HTTPConnection, path: str, agent: str = "test") -> None:
    connection.request("GET", path, headers={"User-Agent": agent})
    connection.getresponse().read()


def leave_early(port: int, path: str) -> None:
    """A client that does not wait for its answer."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        time.sleep(0.2)
