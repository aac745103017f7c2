"""What a websocket's path says of itself, for the OpenAPI document: it answers plain HTTP until it is upgraded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema

from webapp.errors import MoorageError

ATTRIBUTE = "moorage_handshake"


@dataclass(frozen=True)
class Handshake:
    """`raises`: what the client can be told before the upgrade, by whoever decides who may enter."""

    summary: str
    query: type[Schema] | None = None
    raises: tuple[type[MoorageError], ...] = ()
    description: str = ""
    tag: str = "sockets"
    who: str = ""


def declare(view: Callable[..., Any], handshake: Handshake | None) -> None:
    if handshake is not None:
        setattr(view, ATTRIBUTE, handshake)
