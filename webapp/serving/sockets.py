"""The sockets: gevent, because thousands of connections wait and few of them say anything.

Run as `python -m webapp.serving.sockets HOST` (`moorage serve sockets` does), so that the standard library is
patched before anything else has taken hold of it.
"""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402 - after the patch, like everything else
import time  # noqa: E402 - see above
from functools import partial  # noqa: E402 - see above
from types import FrameType  # noqa: E402 - see above
from typing import Any  # noqa: E402 - see above

import gevent  # noqa: E402 - see above
from gevent.event import Event  # noqa: E402 - see above
from gevent.pool import Pool  # noqa: E402 - see above
from gevent.server import StreamServer  # noqa: E402 - see above
from gunicorn.workers.ggevent import (  # type: ignore[import-untyped]  # noqa: E402 - gunicorn has no types; see above
    GeventWorker,
)

from webapp.serving.channel import channels_of  # noqa: E402 - see above
from webapp.serving.discreet import Discreet  # noqa: E402 - see above
from webapp.serving.door import SETTLE_SECONDS, turn_away_newcomers  # noqa: E402 - see above
from webapp.serving.http import SOCKETS, serve  # noqa: E402 - see above
from webapp.settings import Settings  # noqa: E402 - see above


class Greenlets(Discreet, GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's worker, which at a stop tells every socket to come back, and takes what was let in.

    Its own `run` looks once a second whether it is to stop and whether it may: up to two seconds of every stop.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._told = Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._told.set()  # a signal's handler must not wait

    def run(self) -> None:
        pool = Pool(self.worker_connections)
        servers = [self._serve(listener, pool) for listener in self.sockets]
        while not self._told.wait(1.0):
            self.notify()  # ends the process where the master is gone
        self._stop_accepting(servers)
        end = time.monotonic() + self.cfg.graceful_timeout
        while len(pool) and time.monotonic() < end:
            self.notify()
            gevent.sleep(0.1)

    def _serve(self, listener: Any, pool: Pool) -> StreamServer:
        listener.setblocking(True)
        server = StreamServer(listener, handle=partial(self.handle, listener), spawn=pool)
        server.start()
        return server

    def _stop_accepting(self, servers: list[StreamServer]) -> None:
        for listener in self.sockets:
            turn_away_newcomers(listener)
        self.alive = False  # from now on an answer closes its connection
        try:
            channels_of(self.wsgi).recall()
            gevent.sleep(SETTLE_SECONDS)  # the servers take what is waiting
        finally:
            for server in servers:
                server.close()


def main(settings: Settings, host: str) -> None:
    # One process: a command's wake-up must reach the process that holds the agent's socket, and one holds them all.
    serve("sockets", settings, host, worker_class=Greenlets, workers=1, worker_connections=SOCKETS)


if __name__ == "__main__":
    main(Settings.load(), sys.argv[1])
