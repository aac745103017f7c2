"""`python -m tests.rtdb --port 9000 --file export.json`: serves until it is told to stop."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from tests.rtdb.database import Database
from tests.rtdb.server import KEEP_ALIVE_SECONDS, Server


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.rtdb", description="A local Realtime Database.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0 for any that is free; it is printed")
    parser.add_argument("--file", type=Path, help="an export: read first, written once a second where anything changed")
    parser.add_argument(
        "--keep-alive", type=float, default=KEEP_ALIVE_SECONDS, help="seconds between keep-alive events"
    )
    given = parser.parse_args()
    # Not an argument: `ps` would show it.
    server = Server(
        Database(given.file), secret=os.environ.get("RTDB_SECRET", ""), host=given.host, port=given.port,
        keep_alive=given.keep_alive,
    )  # fmt: skip
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with server.running():
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        stop.wait()


if __name__ == "__main__":
    main()
