"""PostgreSQL is restarted in the middle of traffic: 503 while it is away, and well again by itself."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.bench.installation import Installation, installation

WHOAMI = "/api/v1/auth/whoami"
# The issue's: from PostgreSQL's return to the first request that is well.
WELL_WITHIN_SECONDS = 5


@pytest.fixture(scope="module")
def own() -> Iterator[Installation]:
    """An installation of this module's own: its database goes away."""
    with installation() as made:
        yield made


@dataclass
class Traffic:
    """Threads that ask without a pause. `answers` are (moment, status or the exception's name, code)."""

    port: int
    token: str
    answers: list[tuple[float, int | str, str]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.wait(0.01):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                connection.request("GET", WHOAMI, headers={"Authorization": f"Bearer {self.token}"})
                answer = connection.getresponse()
                body = json.loads(answer.read())
                seen: tuple[int | str, str] = (answer.status, body.get("error", {}).get("code", ""))
            except OSError as error:
                seen = (type(error).__name__, "")
            finally:
                connection.close()
            self.answers.append((time.monotonic(), *seen))

    def __enter__(self) -> Traffic:
        self._threads = [threading.Thread(target=self.run) for _ in range(4)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def until_well_since(self, moment: float) -> float:
        """Seconds from `moment` to the last answer that was not 200, all later ones being so."""
        bad = [at for at, status, _ in self.answers if status != 200 and at > moment]
        return max(bad, default=moment) - moment


@pytest.mark.parametrize("process", ["api", "sockets"])
def test_a_restart_is_503_and_over_by_itself(own: Installation, process: str) -> None:
    token = own.token(own.tenant())
    command = ("webapp", "serve", process)
    with own.running(process, *command) as ran, Traffic(ran.port, token) as traffic:
        time.sleep(0.5)
        own.servers.postgres.stop(20)
        time.sleep(1.5)
        own.servers.start_postgres()
        back = time.monotonic()
        time.sleep(WELL_WITHIN_SECONDS + 1)
    seen = Counter((status, code) for _, status, code in traffic.answers)
    assert set(seen) == {(200, ""), (503, "SERVICE_UNAVAILABLE")}, seen
    assert traffic.until_well_since(back) < WELL_WITHIN_SECONDS
    assert [status for at, status, _ in traffic.answers if at > back + WELL_WITHIN_SECONDS].count(200) > 10
