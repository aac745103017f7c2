"""Secrets that only this agent can open: fetched for a command, opened in memory, acknowledged, never written down."""

from __future__ import annotations

import logging
from base64 import b64decode
from binascii import Error as NotBase64
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox

from agent.control_plane import ControlPlane
from agent.failures import Failure
from agent.redaction import Sensitive, remember

log = logging.getLogger("agent.vault")

SEALED_BOX, AES = "X25519-XSALSA20-POLY1305", "AES-256-GCM"
_MOST_ACKNOWLEDGED = 1000


@dataclass(frozen=True)
class Opened:
    secret_id: str
    field_name: str
    version: int
    value: Sensitive


def open_sealed(
    item: Mapping[str, Any], private_key: Callable[[], PrivateKey], keys: Mapping[str, Sensitive]
) -> Sensitive | None:
    """The plaintext of one version of a secret; None where this agent's keys do not open it, or it is damaged.

    `keys` holds AES keys (32 bytes in base64) by their key_id. With AES-256-GCM the associated data is the `aad_meta`
    as JSON with sorted keys and no spaces, or nothing where it was sealed without.
    """
    try:
        content = b64decode(item["ciphertext"], validate=True)
        if item["alg"] == SEALED_BOX:
            return remember(Sensitive(SealedBox(private_key()).decrypt(content).decode()))
        key = keys.get(str(item["key_id"]))
        if item["alg"] != AES or key is None:
            return None
        aead, nonce = AESGCM(b64decode(key.reveal(), validate=True)), b64decode(item["nonce"], validate=True)
        aad = item.get("aad_meta")
        for bound in [orjson.dumps(aad, option=orjson.OPT_SORT_KEYS), None] if aad else [None]:
            try:
                return remember(Sensitive(aead.decrypt(nonce, content, bound).decode()))
            except InvalidTag:
                continue
    except (KeyError, TypeError, ValueError, NotBase64, CryptoError):
        return None
    return None


class Vault:
    """`private_key` is asked for each time, so that it lies in memory no longer than it is used."""

    def __init__(
        self,
        plane: ControlPlane,
        agent_id: str,
        private_key: Callable[[], PrivateKey],
        keys: Mapping[str, Sensitive],
    ) -> None:
        self._plane, self._agent_id, self._private_key, self._keys = plane, agent_id, private_key, keys
        self._acknowledged: OrderedDict[tuple[str, int], None] = OrderedDict()

    def open_for(self, command_id: str) -> list[Opened]:
        """What this command's scope binds, opened. Failure SECRET_UNOPENABLE where no version of a secret opens."""
        found = self._plane.call("GET", f"/agents/{self._agent_id}/secrets", query={"command_id": command_id})
        groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for item in found if isinstance(found, list) else []:
            groups.setdefault((str(item["id"]), str(item.get("field_name", ""))), []).append(item)
        return [self._open(secret_id, name, versions) for (secret_id, name), versions in groups.items()]

    def _open(self, secret_id: str, field_name: str, versions: Iterable[Mapping[str, Any]]) -> Opened:
        newest_first = sorted(versions, key=lambda item: int(item.get("version", 0)), reverse=True)
        for item in newest_first:
            value = open_sealed(item, self._private_key, self._keys)
            if value is not None:
                version = int(item.get("version", 0))
                self._acknowledge(secret_id, version)
                return Opened(secret_id, field_name, version, value)
            log.warning("A version of a secret does not open", extra={"id": secret_id, "version": item.get("version")})
        raise Failure("SECRET_UNOPENABLE", f"secret {secret_id} ({field_name}) was not sealed for this agent's key, or"
                      " is damaged. Seal it again for the key_id that `moorage-agent status` shows, and rotate it.")

    def _acknowledge(self, secret_id: str, version: int) -> None:
        """Once for each version; one that is not taken now is tried when the secret is next used."""
        if (secret_id, version) in self._acknowledged:
            return
        try:
            self._plane.call("POST", f"/agents/{self._agent_id}/secrets/{secret_id}/ack", {"version": version})
        except Failure as failure:
            log.warning("A secret's version is not acknowledged yet", extra={"id": secret_id, "why": str(failure)})
            return
        self._acknowledged[secret_id, version] = None
        while len(self._acknowledged) > _MOST_ACKNOWLEDGED:
            self._acknowledged.popitem(last=False)
