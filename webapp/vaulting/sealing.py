"""Sealing on the client's side: plaintext becomes ciphertext here, before anything leaves this process.

A sealed box (X25519, XSalsa20-Poly1305, libsodium's crypto_box_seal) can be opened by the holder of the private key
alone; whoever sealed it cannot open it again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from nacl.public import PublicKey, SealedBox

from webapp.failures import Failure

ALG = "X25519-XSALSA20-POLY1305"
# A sealed box brings its own; the contract's field wants a word.
NO_NONCE = "none"
KEY_BYTES = 32
TIMEOUT_SECONDS = 20


class KeyUnfit(Failure):
    code = "KEY_UNFIT"


class ServerRefused(Failure):
    code = "SERVER_REFUSED"


@dataclass(frozen=True)
class Key:
    """An agent's public key and its id."""

    raw: bytes
    key_id: str


def key_of(public_key: str, key_id: str | None = None) -> Key:
    """Out of the standard base64 of 32 bytes. Raises KeyUnfit."""
    try:
        raw = base64.b64decode(public_key, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise KeyUnfit("A public key is 32 bytes in base64, as `moorage-agent status` shows it.")
    return Key(raw, key_id or f"x25519:{hashlib.sha256(raw).hexdigest()[:32]}")


def seal(key: Key, plaintext: bytes, label: str) -> dict[str, str]:
    """The body of POST /api/v1/secrets."""
    sealed = SealedBox(PublicKey(key.raw)).encrypt(plaintext)
    ciphertext = base64.b64encode(sealed).decode()
    return {"label": label, "ciphertext": ciphertext, "alg": ALG, "key_id": key.key_id, "nonce": NO_NONCE}


def fetched(server: str, token: str, agent: str) -> Key:
    """The agent's key, from the control plane. Raises ServerRefused, KeyUnfit."""
    found = _get(f"{server.rstrip('/')}/api/v1/agents/{agent}", token)
    if not found.get("public_key"):
        raise KeyUnfit("This agent has given no public key: pair it again with a current moorage-agent.")
    return key_of(found["public_key"], found.get("key_id"))


def _get(url: str, token: str) -> dict[str, Any]:
    if not url.startswith(("https://", "http://")):
        raise ServerRefused(f"{url} is no http(s) address.")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - looked at above
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - looked at above
            return dict(json.loads(answer.read())["data"])
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")[:500]
        raise ServerRefused(f"The server answered {error.code}: {said}") from error
    except (OSError, ValueError, KeyError) as error:
        raise ServerRefused(f"{url} cannot be read: {error}") from error
