"""What must be read again, and therefore is no digest: sealed at rest (AES-256-GCM, a new nonce each time)."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


def seal(key: bytes, plain: bytes, of: bytes) -> bytes:
    """Opens only with the same key (32 bytes), and as the same holder's."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, of)


def opened(key: bytes, sealed: bytes, of: bytes) -> bytes:
    """What was sealed. Raises InvalidTag where the key or the holder is another, or a bit of it was changed."""
    if len(sealed) <= _NONCE_BYTES:
        raise InvalidTag
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], of)
