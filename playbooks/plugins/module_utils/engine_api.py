"""Asks the Docker engine over its socket what its command line cannot say."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from pathlib import Path

from ansible.module_utils.compose_state import CommandFailed

SOCKET = "/var/run/docker.sock"


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


def credentials(reference: str, config: dict) -> str:
    """The X-Registry-Auth header for an image, from what `docker login` has written. Pure.

    Args:
        config: the content of ~/.docker/config.json.
    """
    registry = reference.partition("/")[0]
    encoded = config.get("auths", {}).get(registry, {}).get("auth", "")
    user, _, password = base64.b64decode(encoded).decode().partition(":")
    header = {"username": user, "password": password, "serveraddress": registry} if user else {}
    return base64.urlsafe_b64encode(json.dumps(header).encode()).decode()


def registry_digest(reference: str) -> str:
    """The digest a registry holds for a name with a tag: what `docker pull` would record, of an index too.

    Raises:
        CommandFailed: the engine's or the registry's own words.
    """
    file = Path("~/.docker/config.json").expanduser()
    config = json.loads(file.read_text()) if file.exists() else {}
    connection = _Connection("localhost", timeout=60)
    try:
        path = f"/distribution/{reference}/json"
        connection.request("GET", path, headers={"X-Registry-Auth": credentials(reference, config)})
        response = connection.getresponse()
        answer = json.loads(response.read() or "{}")
    finally:
        connection.close()
    if response.status != 200:
        raise CommandFailed(f"the registry says {response.status}: {answer.get('message', '')}")
    return str(answer["Descriptor"]["digest"])
