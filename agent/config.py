"""The agent's own configuration: a TOML file, 0600, with what it may reach on this machine's side.

    [proxmox]
    url = "https://192.0.2.10:8006"
    token_id = "moorage@pve!agent"      # with token_secret here, or bound as a sealed secret of that name
    token_secret = "…"
    ca_file = "/etc/moorage-agent/pve.pem"   # or fingerprint = "AA:BB:…" (SHA-256), or neither: the system's own

    [syncthing]
    url = "http://127.0.0.1:8384"
    api_key = "…"

    [secret_keys]                        # AES-256-GCM keys by their key_id, 32 bytes in base64
    "backup-2026" = "…"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.failures import Failure
from agent.files import refuse_if_others_read
from agent.redaction import Sensitive, remember
from agent.wire import Tls, checked_url

_ENDPOINT = {"url", "ca_file", "fingerprint", "timeout_seconds"}
_KNOWN = {
    "proxmox": _ENDPOINT | {"token_id", "token_secret"},
    "syncthing": _ENDPOINT | {"api_key"},
}
LONGEST_TIMEOUT = 120.0


@dataclass(frozen=True)
class Endpoint:
    """A server beside the agent. `credentials` by field name, as far as the file has them."""

    url: str
    tls: Tls = field(default_factory=Tls)
    seconds: float = 30.0
    credentials: Mapping[str, Sensitive] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    secret_keys: Mapping[str, Sensitive] = field(default_factory=dict)


def read(path: Path | None) -> Config:
    """Nothing is configured where there is no file. Failure CONFIG names the value that is wrong."""
    if path is None or not path.exists():
        return Config()
    refuse_if_others_read(path)
    try:
        found = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Failure("CONFIG", f"{path} cannot be read: {error}") from error
    unknown = set(found) - set(_KNOWN) - {"secret_keys"}
    if unknown:
        raise Failure("CONFIG", f"{path}: there is no section {sorted(unknown)[0]!r}; there are: proxmox, syncthing,"
                      " secret_keys.")
    keys = found.pop("secret_keys", {})
    return Config(
        {name: _endpoint(name, section, path) for name, section in found.items()},
        {str(name): remember(Sensitive(str(value))) for name, value in keys.items()},
    )


def _endpoint(name: str, section: Any, path: Path) -> Endpoint:
    where = f"{path}: {name}"
    if not isinstance(section, dict) or not isinstance(section.get("url"), str):
        raise Failure("CONFIG", f"{where}: url is missing.")
    unknown = set(section) - _KNOWN[name]
    if unknown:
        raise Failure("CONFIG", f"{where}: {sorted(unknown)[0]!r} is not known; known are {sorted(_KNOWN[name])}.")
    seconds = section.get("timeout_seconds", 30)
    if not isinstance(seconds, int | float) or not 1 <= seconds <= LONGEST_TIMEOUT:
        raise Failure("CONFIG", f"{where}: timeout_seconds must be from 1 to {LONGEST_TIMEOUT:.0f}.")
    ca_file = section.get("ca_file")
    return Endpoint(
        url=checked_url(section["url"], what=f"{where}: url"),
        tls=Tls(Path(ca_file) if ca_file else None, section.get("fingerprint")),
        seconds=float(seconds),
        credentials={key: remember(Sensitive(str(section[key]))) for key in _KNOWN[name] - _ENDPOINT if key in section},
    )
