"""A day without a server costs no memory. The day is real in its tries, not in its hours: waits pass at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
DAY = 86400.0
MOST_BYTES = 60_000_000

# 5,000 tries and more at a port that refuses, with everything loaded that a working agent loads, and a full journal.
DAY_OFFLINE = """
import json, sys, threading
from pathlib import Path
import psutil
from agent import executors, logs, running
from agent.commands import Command, succeeded
from agent.journal import Journal
from agent.pace import Pace

folder, day = Path(sys.argv[1]), float(sys.argv[2])
logs.configure("info")
journal = Journal(folder / "journal.sqlite3")
for number in range(300):
    journal.accept(Command(f"c{number}", "proxmox.list-vms", {}))
    journal.begin(f"c{number}")
    journal.finish(f"c{number}", succeeded({"text": "x" * 200_000}, reads_only=True))
journal.close()

class Fast(Pace):
    passed, waits = 0.0, 0
    def now(self):
        return super().now() + self.passed
    def wait(self, seconds):
        if threading.current_thread() is not threading.main_thread():
            return super().wait(0.05)
        self.passed, self.waits = self.passed + seconds, self.waits + 1
        if self.passed >= day:
            self.stop()
        return self.stopped

pace = Fast()
agent = running.assemble(folder, None, pace)
agent.run()
print(json.dumps({"rss": psutil.Process().memory_info().rss, "tries": pace.waits, "hours": pace.passed / 3600,
                  "threads": threading.active_count(), "untold": agent.status()["untold"]}))
"""


def test_a_day_offline_stays_under_sixty_megabytes(paired: Path) -> None:
    document = json.loads((paired / "agent.json").read_text())
    document["server"] = "http://127.0.0.1:9"  # discard: nothing listens
    (paired / "agent.json").write_text(json.dumps(document))
    command = [sys.executable, "-c", DAY_OFFLINE, str(paired), str(DAY)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["hours"] >= 24 and found["tries"] > 4000 and found["untold"] == 300
    assert found["rss"] < MOST_BYTES, found
    assert found["threads"] < 6
    assert len(done.stderr.splitlines()) < found["tries"] / 2, "one line a try would fill a disk"
