"""The sockets: gevent, because thousands of connections wait and few of them say anything.

Run as `python -m webapp.serving.sockets HOST` (`moorage serve sockets` does), so that the standard library is
patched before anything else has taken hold of it.
"""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402 - after the patch, like everything else
from types import FrameType  # noqa: E402 - see above

import gevent  # noqa: E402 - see above
from gunicorn.workers.ggevent import (  # type: ignore[import-untyped]  # noqa: E402 - gunicorn has no types; see above
    GeventWorker,
)

from webapp.serving.channel import channels_of  # noqa: E402 - see above
from webapp.serving.door import SETTLE_SECONDS, turn_away_newcomers  # noqa: E402 - see above
from webapp.serving.http import SOCKETS, serve  # noqa: E402 - see above
from webapp.settings import Settings  # noqa: E402 - see above


class Greenlets(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's worker, which at a stop tells every socket to come back, and takes what was let in."""

    _leaving = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # A signal's handler must not wait: the work is a greenlet's.
        if not self._leaving:
            self._leaving = True
            gevent.spawn(self._leave, sig, frame)

    def _leave(self, sig: int, frame: FrameType | None) -> None:
        for listener in self.sockets:
            turn_away_newcomers(listener)
        try:
            channels_of(self.wsgi).recall()
            gevent.sleep(SETTLE_SECONDS)  # the servers take what is waiting
        finally:
            super().handle_exit(sig, frame)


def main(settings: Settings, host: str) -> None:
    # One process: a command's wake-up must reach the process that holds the agent's socket, and one holds them all.
    serve("sockets", settings, host, worker_class=Greenlets, workers=1, worker_connections=SOCKETS)


if __name__ == "__main__":
    main(Settings.load(), sys.argv[1])
