"""Websocket frames (RFC 6455), as much of them as a client with short texts needs."""

from __future__ import annotations

import os
from dataclasses import dataclass

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole, unfragmented frame."""

    opcode: int
    payload: bytes

    @property
    def code(self) -> int:
        """The close code; 1005 where the frame carries none."""
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) >= 2 else 1005


def masked(opcode: int, payload: bytes) -> bytes:
    """A frame as a client must send it. Payloads of up to 125 bytes."""
    assert len(payload) < 126, "longer payloads need a longer header"
    key = os.urandom(4)
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + key + bytes(b ^ key[i % 4] for i, b in enumerate(payload))


def take(received: bytearray) -> Frame | None:
    """The first frame, taken off; None while it is not whole."""
    if len(received) < 2:
        return None
    length, begin = received[1] & 0x7F, 2
    if length > 125:
        begin = 4 if length == 126 else 10
        length = int.from_bytes(received[2:begin], "big")
    if len(received) < begin or len(received) < begin + length:
        return None
    frame = Frame(received[0] & 0x0F, bytes(received[begin : begin + length]))
    del received[: begin + length]
    return frame
