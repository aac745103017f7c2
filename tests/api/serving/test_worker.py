"""The worker: does jobs, outlives an outage of the database, beats, stops."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2

from tests.api.relay import Relay
from tests.api.serving.conftest import Serve, kill
from webapp.settings import CHECKOUT, Settings, inherited

DEFER = """
    SELECT procrastinate_defer_jobs_v1(ARRAY[ROW('default', 'jobs.prune', 0, NULL, NULL,
        '{"timestamp": 0}'::jsonb, NULL)::procrastinate_job_to_defer_v1])
"""


def until(done: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.1)


def defer(settings: Settings) -> int:
    connection = psycopg2.connect(settings.database_url.render())
    with connection, connection.cursor() as cursor:
        cursor.execute(DEFER)
        row = cursor.fetchone()
    connection.close()
    assert row is not None
    [job] = row[0]
    return int(job)


def status(settings: Settings, job: int) -> str:
    """Of a job that went well nothing is kept."""
    connection = psycopg2.connect(settings.database_url.render())
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT status FROM procrastinate_jobs WHERE id = %s", (job,))
        row = cursor.fetchone()
    connection.close()
    return "gone" if row is None else str(row[0])


def test_it_does_a_job_also_after_the_database_was_gone(
    serve: Serve, settings: Settings, relays: tuple[Relay, Relay]
) -> None:
    served = serve("worker")
    first = defer(settings)
    until(lambda: status(settings, first) == "gone")

    relays[0].stop()
    time.sleep(1)
    relays[0].start()

    second = defer(settings)
    until(lambda: status(settings, second) == "gone", 30)
    assert served.popen.poll() is None
    served.popen.send_signal(signal.SIGTERM)
    assert served.popen.wait(45) == 0  # a job has 25 s to end, and the machine may have little time for it
    assert {line["logger"] for line in served.lines()} >= {"moorage.worker"}


def test_its_health_is_its_beat(serve: Serve, environment: dict[str, str], run_dir: Path) -> None:
    def health() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "webapp", "health"],
            cwd=CHECKOUT,
            env=inherited(**environment, RUN_DIR=str(run_dir)),
            capture_output=True,
            text=True,
            check=False,
        )

    nobody = health()
    assert nobody.returncode == 1 and nobody.stderr.startswith("UNHEALTHY: ")
    serve("worker")
    assert health().returncode == 0
    beat = run_dir / "worker.json"
    long_ago = time.time() - 60
    import os

    os.utime(beat, (long_ago, long_ago))
    stuck = health()
    assert stuck.returncode == 1 and "has not beaten" in stuck.stderr


def test_http_processes_answer_for_themselves(serve: Serve, environment: dict[str, str], run_dir: Path) -> None:
    served = serve("api")
    command = [sys.executable, "-m", "webapp", "health"]
    variables = inherited(**environment, RUN_DIR=str(run_dir))
    assert subprocess.run(command, cwd=CHECKOUT, env=variables, check=False).returncode == 0
    kill(served.popen)
    gone = subprocess.run(command, cwd=CHECKOUT, env=variables, capture_output=True, text=True, check=False)
    assert gone.returncode == 1 and "does not answer" in gone.stderr
