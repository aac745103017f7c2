"""`make up` and the API tests use PostgreSQL 18; the lab's host runs 17: the API tests pass on 17 too."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.lab import Lab
from tests.lab.fullness import full
from tests.lab.playbook import ROOT
from tests.lab.recipes import ensure_image

# Where the database's own words count: catalogue and migrations, row level security, the chain's and the queue's
# statements. `pytest tests/api --postgres-url …` runs all of them, which takes as long as the whole pass on 18.
ROOMS = ("audit", "database", "idempotency", "licensing", "tenants", "commands/test_commands.py")


@pytest.fixture
def server(lab: Lab) -> Iterator[str]:
    """A superuser's URL of a PostgreSQL 17 in memory, gone with the test."""
    password = secrets.token_hex(16)
    image = ensure_image(lab.engine, "postgres")
    words = ["-e", f"POSTGRES_PASSWORD={password}", "--tmpfs", "/var/lib/postgresql/data:uid=999,gid=999,mode=0700"]
    publish = ["--label", lab.plan.label, "-p", "127.0.0.1::5432"]
    container = lab.engine.run("run", "-d", *publish, *words, image).strip()
    try:
        port = lab.engine.run("port", container, "5432/tcp").splitlines()[0].rpartition(":")[2]
        end = time.monotonic() + 30
        # The entrypoint's first server, which it stops again, listens on the socket only.
        while lab.engine.attempt("exec", container, "pg_isready", "-q", "-h", "127.0.0.1", "-U", "postgres").returncode:
            assert time.monotonic() < end, lab.engine.attempt("logs", container).stderr
            time.sleep(0.2)
        yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    finally:
        lab.engine.attempt("rm", "-f", "-v", container)


@full
def test_the_api_tests_pass_on_postgresql_17(server: str):
    rooms = [f"tests/api/{room}" for room in ROOMS]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *rooms]
    done = subprocess.run(
        [*command, "--postgres-url", server], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
