"""The API: threads, because requests do CPU work and wait for a database driver written in C."""

from __future__ import annotations

import select
import time

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]  # gunicorn has no types

from webapp.serving.channel import channels_of
from webapp.serving.discreet import Discreet
from webapp.serving.door import SETTLE_SECONDS, turn_away_newcomers
from webapp.serving.http import serve
from webapp.settings import Settings

# What the proxy sends lies unread while the machine has no processor to spare; whoever took such a connection for an
# idle one would reset it, and the request with it. Two seconds did, under load. A stop does not wait for these.
KEEP_ALIVE_SECONDS = 10


class Threads(Discreet, ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's worker, which at a stop also takes what was let in (it would keep it waiting, and then reset it)."""

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not self.alive:
            channels_of(self.wsgi).recall()
            self._take_the_last()

    def _take_the_last(self) -> None:
        waiting = select.poll()
        by_descriptor = {listener.fileno(): listener for listener in self.sockets}
        for descriptor, listener in by_descriptor.items():
            turn_away_newcomers(listener)
            waiting.register(descriptor, select.POLLIN)
        end = time.monotonic() + SETTLE_SECONDS
        while (left := end - time.monotonic()) > 0:
            for descriptor, _ in waiting.poll(left * 1000):
                self.accept(by_descriptor[descriptor])
        for listener in self.sockets:
            listener.close()


def main(settings: Settings, host: str) -> None:
    serve(
        "api",
        settings,
        host,
        worker_class=Threads,
        workers=settings.api_workers,
        threads=settings.api_threads,
        keepalive=KEEP_ALIVE_SECONDS,
    )
