"""Pairing codes: 80 random bits that a person can read out and type, and the ways to hand one over."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import orjson

# Crockford's base 32: no I, L, O, U, so that nothing is mistaken for something else. https://www.crockford.com/base32.html
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH, GROUP = 16, 4
BITS = LENGTH * 5
_READ_AS = str.maketrans("OIL", "011", "- \t")


def new_code() -> str:
    """`7K2M-…`: four groups of four, with a digit and a letter among them.

    One in four hundred would be letters only, and, typed in lower case, look like four words: redaction spares those.
    """
    drawn = ""
    while not drawn or drawn.isalpha() or drawn.isdigit():
        drawn = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(drawn[at : at + GROUP] for at in range(0, LENGTH, GROUP))


def digest_of(code: str) -> bytes | None:
    """What is kept of a code, however it was typed; None for what cannot be one.

    SHA-256 without salt is enough for 80 random bits, and the look-up by it tells nothing by its time.
    """
    plain = code.upper().translate(_READ_AS)
    if len(plain) != LENGTH or set(plain) - set(ALPHABET):
        return None
    return hashlib.sha256(plain.encode()).digest()


@dataclass(frozen=True)
class Invitation:
    """One code for one server, in the shapes that people and programs pass on."""

    server_url: str
    code: str

    @property
    def bundle(self) -> str:
        """One word to paste: JSON `{v, server_url, pairing_code}` in base64url without padding."""
        said = orjson.dumps({"v": 1, "server_url": self.server_url, "pairing_code": self.code})
        return base64.urlsafe_b64encode(said).decode().rstrip("=")

    @property
    def uri(self) -> str:
        """For the operating system, which starts the agent with it."""
        return "moorage-agent://pair?" + urlencode({"server": self.server_url, "code": self.code}, quote_via=quote)

    @property
    def url(self) -> str:
        """For a browser. The code is in the fragment, which no browser sends: it is in no server's log."""
        return f"{self.server_url}/agents/pair#code={self.code}"
