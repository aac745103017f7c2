"""What load to make: how much, of what, on whom."""

from __future__ import annotations

import json
import ssl
from dataclasses import asdict, dataclass

API, APP = "api.moorage.test", "app.moorage.test"
POSTS = "/api/v1/practice/posts"
# One request of so many has a connection of its own; no kind of the mix of ten has them all.
FRESH = 7
SOCKET = "/ws/v1/practice"


@dataclass(frozen=True)
class Ask:
    """One kind of request, and what a right answer to it is. A POST carries an id, and its answer holds it."""

    method: str
    host: str
    path: str
    status: int = 200
    holds: str = ""


# Of ten, seven are GETs and three POSTs; six go to the API's own name, four to the frontend's.
MIX = (
    Ask("GET", API, "/api/v1/health/live", holds='"live"'),
    Ask("GET", APP, "/", holds="<html"),
    Ask("POST", API, POSTS, 201),
    Ask("GET", API, "/api/v1/health/live", holds='"live"'),
    Ask("GET", APP, "/version.json", holds='"version"'),
    Ask("POST", APP, POSTS, 201),
    Ask("GET", API, "/api/v1/health/live", holds='"live"'),
    Ask("GET", API, "/", holds="<html"),
    Ask("POST", API, POSTS, 201),
    Ask("GET", APP, "/config.json", holds="{"),
)


@dataclass(frozen=True)
class Plan:
    """A load.

    Args:
        address: where every name leads; `port` there.
        run: begins the id of each POST, so that one run's are told from another's.
        root: file of the one certificate authority to trust (PEM); empty speaks plain HTTP.
        rate: requests a second, whatever becomes of them.
        connections: kept connections, over all names.
        sockets: websockets, each with an echo a second.
        fresh: of so many requests one goes over a connection of its own; 0 for none.
        distance: seconds between such a connection and its request, as for a client that is far away: what the server
            had let in before a switch is asked after it.
        timeout: seconds that an answer may take once its request was sent.
        asks: sent in turn, over and over.
    """

    address: str
    run: str
    port: int = 443
    root: str = ""
    rate: float = 500
    connections: int = 100
    sockets: int = 50
    fresh: int = 0
    distance: float = 0.1
    timeout: float = 10
    asks: tuple[Ask, ...] = MIX

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What the certificates are checked against; HTTP/1.1 only, as no other protocol is offered."""
        return ssl.create_default_context(cafile=self.root) if self.root else None

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that `to_json` wrote."""
        read = json.loads(text)
        return cls(**{**read, "asks": tuple(Ask(**ask) for ask in read["asks"])})
