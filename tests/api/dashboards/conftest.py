"""A Prometheus that looks at the real control plane, PostgreSQL, this machine, and a host's figures."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from werkzeug.serving import make_server

from tests.api.fleet import enlist
from tests.api.people import Person, Town, data, running
from tests.watching.packages import unpacked
from tests.watching.processes import Watcher, prometheus, started, until
from webapp.settings import Settings
from webapp.variables import DatabaseUrl

# What a host's backups, drills and so on write (docs/reference/metrics.md). The time is each test's own.
FIGURES = """\
moorage_backup_last_success_timestamp_seconds{target="local"} NOW
moorage_backup_last_attempt_timestamp_seconds{target="local"} NOW
moorage_backup_last_result{target="local"} 1
moorage_backup_duration_seconds{target="local"} 42
moorage_backup_size_bytes{target="local"} 1e9
moorage_backup_stored_bytes{target="local"} 5e9
moorage_wal_archive_last_success_timestamp_seconds{target="local"} NOW
moorage_restore_drill_last_success_timestamp_seconds{target="local"} NOW
moorage_restore_drill_last_result{target="local"} 1
moorage_restore_drill_seconds{target="local"} 300
moorage_restore_drill_lost_seconds{target="local"} 12
moorage_container_running{service="api",slot="blue"} 1
moorage_container_healthy{service="api",slot="blue"} 1
moorage_drift_items 0
moorage_drift_last_check_timestamp_seconds NOW
moorage_audit_findings 0
moorage_audit_last_run_timestamp_seconds NOW
moorage_release_info{number="7",tag="sha-seven"} 1
moorage_release_timestamp_seconds NOW
"""
# What the role's node exporter collects: it sees the host's network no more than any container does.
COLLECTORS = ("cpu", "diskstats", "filesystem", "loadavg", "meminfo", "stat", "textfile", "uname")
ALERT = {"alert": "Practice", "expr": "vector(1)"}


class Receiver(BaseHTTPRequestHandler):
    """Takes what Alertmanager sends."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def busy(town: Town) -> None:
    """Whatever the control plane counts happens once."""
    agent = enlist(town)
    asked = {"agent_id": agent.id, "command_type": "status", "payload": {}}
    command = data(town.admin.post("/api/v1/vm-ops/commands", asked), 202)
    assert agent.next()["id"] == command["id"]
    agent.told(command["id"], "running")
    agent.told(command["id"], "succeeded", result={})
    assert Person(town.app.test_client(), "a.b.c").get("/api/v1/auth/whoami").status_code == 401
    assert town.admin.get("/api/v1/health/ready").status_code == 200


@pytest.fixture(scope="module")
def watched(
    settings: Settings, postgres_admin: DatabaseUrl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watcher]:
    folder = tmp_path_factory.mktemp("watched")
    with ExitStack() as running_now:
        plane = running_now.enter_context(running(settings))
        server = make_server("127.0.0.1", 0, plane, threaded=True)
        receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        for one in (server, receiver):
            threading.Thread(target=one.serve_forever, daemon=True).start()
            running_now.callback(one.server_close)
            running_now.callback(one.shutdown)
        busy(Town.found(plane))
        targets = exporters(running_now, folder, postgres_admin, f"http://127.0.0.1:{receiver.server_port}/")
        plane_at = f"127.0.0.1:{server.server_port}"
        watcher = running_now.enter_context(prometheus(folder, **looking(folder, plane_at, targets)))
        until(lambda: watcher.ask("ALERTS") and watcher.ask("sum(rate(moorage_commands_total[1m]))"), watcher.log)
        yield watcher


def exporters(stack: ExitStack, folder: Path, admin: DatabaseUrl, receiver: str) -> dict[str, Watcher]:
    """Job to exporter, each of them the real one."""
    figures = folder / "figures"
    figures.mkdir()
    (figures / "host.prom").write_text(FIGURES.replace("NOW", str(int(time.time()))))
    routes = {"route": {"receiver": "here", "group_wait": "0s"}}
    hooks = {"receivers": [{"name": "here", "webhook_configs": [{"url": receiver}]}]}
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(routes | hooks))
    probes = unpacked("prometheus-blackbox-exporter") / "etc/prometheus/blackbox.yml"
    here = "--web.listen-address=127.0.0.1:{port}"
    collected = ("--collector.disable-defaults", *(f"--collector.{name}" for name in COLLECTORS))
    asked: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
        "prometheus-node-exporter": ((*collected, f"--collector.textfile.directory={figures}", here), {}),
        "prometheus-postgres-exporter": ((here,), {"DATA_SOURCE_NAME": f"{admin.render()}?sslmode=disable"}),
        "prometheus-blackbox-exporter": ((f"--config.file={probes}", here), {}),
        "prometheus-alertmanager": (
            (f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}", "--cluster.listen-address=", here),
            {},
        ),
    }
    return {
        package: stack.enter_context(started(package, "/metrics", folder, *given, **variables))
        for package, (given, variables) in asked.items()
    }


def looking(folder: Path, plane: str, targets: dict[str, Watcher]) -> dict[str, object]:
    """What Prometheus looks at."""
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "practice", "rules": [ALERT]}]}))
    at = {name: watcher.target for name, watcher in targets.items()}
    jobs: list[dict[str, object]] = [
        {"job_name": name, "static_configs": [{"targets": [target]}]}
        for name, target in {**at, "controlplane": plane}.items()
    ]
    probe: dict[str, object] = {
        "job_name": "outside",
        "metrics_path": "/probe",
        "params": {"module": ["http_2xx"]},
        "static_configs": [{"targets": [f"http://{plane}/api/v1/health/live"], "labels": {"check": "api"}}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": at["prometheus-blackbox-exporter"]},
        ],
    }
    alertmanager = {"static_configs": [{"targets": [at["prometheus-alertmanager"]]}]}
    return {
        "scrape_configs": [*jobs, probe],
        "rule_files": [str(folder / "rules.yml")],
        "alerting": {"alertmanagers": [alertmanager]},
    }
