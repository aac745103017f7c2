"""Marker values: random, recognisable wherever they turn up, and each knows what it was put into."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field

from webapp.redaction import names_a_secret

# Letters and digits alone: no encoding of text changes them, but for case and base 64.
PATTERN = re.compile(r"cnry[0-9a-f]{16}")
# What may stand nowhere at all. Every other kind is a field's name, and ALLOWED (places.py) says where it may stand.
SECRET = "secret"
SECRET_FIELDS = {"pairing_code", "totp"}


@dataclass
class Markers:
    """All that were made, and the real secrets that the product gave out meanwhile: value → what it is."""

    made: dict[str, tuple[str, str]] = field(default_factory=dict)
    real: dict[str, str] = field(default_factory=dict)

    def make(self, kind: str, where: str) -> str:
        value = f"cnry{secrets.token_hex(8)}"
        self.made[value] = (kind, where)
        return value

    def secret(self, where: str) -> str:
        return self.make(SECRET, where)

    def of_field(self, name: str, where: str) -> str:
        """A marker for a field of a body or a query: a secret where the field's name says so."""
        secret = name in SECRET_FIELDS or names_a_secret(name)
        return self.make(SECRET if secret else name, f"{where} {name}")

    def learn(self, answer: object, where: str, name: str = "") -> None:
        """Note every secret that an answer of the product gives out: by its field's name, and in URLs."""
        if isinstance(answer, dict):
            for key, item in answer.items():
                self.learn(item, where, str(key))
        elif isinstance(answer, list):
            for item in answer:
                self.learn(item, where, name)
        elif isinstance(answer, str) and answer.strip("*"):
            if names_a_secret(name) or name in {"pairing_code", "pairing_bundle"}:
                self.real[answer] = f"{name} of {where}"
            for signature in re.findall(r"X-Amz-Signature=([0-9a-f]+)", answer):
                self.real[signature] = f"the signature in {name} of {where}"
