"""The sockets: gevent, because thousands of connections wait and few of them say anything.

Run as `python -m webapp.serving.sockets HOST` (`moorage serve sockets` does), so that the standard library is
patched before anything else has taken hold of it.
"""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402 - after the patch, like everything else

from webapp.serving.http import SOCKETS, serve  # noqa: E402 - see above
from webapp.settings import Settings  # noqa: E402 - see above

if __name__ == "__main__":
    # One process: a command's wake-up must reach the process that holds the agent's socket, and one holds them all.
    serve("sockets", Settings.load(), sys.argv[1], worker_class="gevent", workers=1, worker_connections=SOCKETS)
