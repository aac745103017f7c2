"""What Prometheus is asked, and where it is. It publishes no port: the engine knows its container's address."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.parse
import urllib.request
from typing import Any

ENGINE = "/var/run/docker.sock"
PORT = 9090
SECONDS = 10


class NoAnswerError(Exception):
    """Prometheus cannot be asked; the text says why."""


class Engine(http.client.HTTPConnection):
    """The Docker engine on its socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(ENGINE)


def address_of(container: str) -> str:
    """Where a container's Prometheus answers. Raises NoAnswerError."""
    engine = Engine("localhost")
    try:
        engine.request("GET", f"/containers/{urllib.parse.quote(container)}/json")
        answer = engine.getresponse()
        told = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NoAnswerError(f"the engine does not say where {container} is: {error}") from error
    finally:
        engine.close()
    networks = told.get("NetworkSettings", {}).get("Networks", {}).values()
    addresses = [network["IPAddress"] for network in networks if network.get("IPAddress")]
    if not addresses:
        raise NoAnswerError(f"{container} does not run")
    return f"http://{addresses[0]}:{PORT}"


def shares(prometheus: str, check: str, begin: float, end: float) -> list[tuple[float, float]]:
    """For each minute in which a check was looked at: when it ended, and the share of looks that went well.

    Raises:
        NoAnswerError: where Prometheus does not answer, or says no.
    """
    name = json.dumps(check, ensure_ascii=False)  # PromQL's strings have JSON's escapes
    query = {
        "query": f"max(avg_over_time(probe_success{{check={name}}}[1m]))",
        "start": f"{begin + 60:.0f}",
        "end": f"{end:.0f}",
        "step": "60",
    }
    if end < begin + 60:
        return []
    try:
        url = f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310 - http, and an address of ours
            told: dict[str, Any] = json.load(answer)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NoAnswerError(f"{prometheus} does not answer: {error}") from error
    return [(float(at), float(share)) for series in told["data"]["result"] for at, share in series["values"]]
