"""A websocket's frames byte by byte (RFC 6455, 5.2), as no library would send them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
LIMIT = 256 * 1024
# Longer than a reader's buffer, so that a message comes in several pieces.
PIECE = 16 * 1024


class Burst(NamedTuple):
    """What is sent at once. `closes`: the codes with which the protocol lets the server close because of it; none:
    the socket stays open. 1006 among them: it may also end without a word."""

    kind: str
    data: bytes
    frames: int
    closes: frozenset[int] = frozenset()


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True, claims: int = -1
) -> bytes:
    """One frame. `claims`: the length in the header where it is not the payload's."""
    length = len(payload) if claims < 0 else claims
    mask = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if length < 126:
        head += bytes([mask | length])
    elif length < 1 << 16:
        head += bytes([mask | 126]) + struct.pack("!H", length)
    else:
        head += bytes([mask | 127]) + struct.pack("!Q", length)
    # A mask of zeros is one, and leaves the payload as it is.
    return head + (b"\0\0\0\0" if masked else b"") + payload


def whole(payload: bytes, opcode: int = TEXT) -> bytes:
    return frame(opcode, payload)


def pieces(payload: bytes, dice: random.Random, *, opcode: int = TEXT) -> tuple[bytes, int]:
    """The payload in fragments, cut anywhere (through a character too), with control frames in between."""
    cuts = sorted(dice.randrange(len(payload) + 1) for _ in range(dice.randrange(1, 5)))
    parts = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    made, count = b"", 0
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        made += frame(opcode if number == 0 else CONTINUATION, part, fin=last)
        count += 1
        if not last and dice.random() < 0.5:
            made += frame(dice.choice((PING, PONG)), dice.randbytes(dice.choice((0, 5, 125))))
            count += 1
    return made, count


def control(dice: random.Random) -> bytes:
    return frame(dice.choice((PING, PONG)), dice.randbytes(dice.choice((0, 1, 30, 125))))


PROTOCOL, INVALID, LARGE = 1002, 1007, 1009


def violation(dice: random.Random) -> Burst:
    """What the protocol forbids, after which the server closes."""
    return dice.choice(VIOLATIONS).burst(dice)


class Violation(NamedTuple):
    """`make` gives the bytes of `frames` frames; `closes` as in Burst."""

    kind: str
    make: Callable[[random.Random], bytes]
    closes: frozenset[int]
    frames: int = 1

    def burst(self, dice: random.Random) -> Burst:
        return Burst(self.kind, self.make(dice), self.frames, self.closes)


def _closing(*codes: int) -> frozenset[int]:
    return frozenset(codes)


def _close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


NOT_UTF8 = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"a\xf8b")
# A code that none may send is given back as it came, or refused.
NO_CODES = (0, 999, 1005, 1006)
_1002, _1007, _1009 = _closing(PROTOCOL), _closing(INVALID), _closing(LARGE)
_ANY = _closing(PROTOCOL, LARGE, INVALID, 1000, 1005, 1006)

VIOLATIONS = [
    Violation("over the limit", lambda _: frame(TEXT, b"x" * (LIMIT + 1)), _1009),
    Violation("far over the limit", lambda _: frame(BINARY, b"x" * (4 * LIMIT)), _closing(LARGE, 1006)),
    Violation(
        "over the limit in fragments",
        lambda _: frame(TEXT, b"x" * LIMIT, fin=False) + frame(CONTINUATION, b"x"), _1009, 2,
    ),
    Violation(
        "a length with the sign bit", lambda _: frame(TEXT, b"x", claims=(1 << 64) - 1),
        _closing(LARGE, PROTOCOL, 1006),
    ),
    Violation("invalid UTF-8", lambda dice: frame(TEXT, dice.choice(NOT_UTF8)), _1007),
    Violation("a cut character", lambda _: frame(TEXT, b"\xe2\x82"), _1007),
    Violation(
        "invalid UTF-8 in a fragment",
        lambda _: frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b"\xff"), _1007, 2,
    ),
    Violation("a reserved opcode", lambda dice: frame(dice.choice((3, 4, 5, 6, 7)), b"x"), _1002),
    Violation("a reserved control opcode", lambda dice: frame(dice.choice((11, 12, 13, 14, 15))), _1002),
    Violation("reserved bits", lambda dice: frame(TEXT, b"{}", rsv=dice.choice((1, 2, 4, 7))), _1002),
    Violation("no mask", lambda _: frame(TEXT, b"{}", masked=False), _1002),
    Violation("a long ping", lambda _: frame(PING, b"x" * 126), _1002),
    Violation("a ping in fragments", lambda _: frame(PING, b"x", fin=False), _1002),
    Violation("a continuation of nothing", lambda _: frame(CONTINUATION, b"x"), _1002),
    Violation("a message within another", lambda _: frame(TEXT, b"x", fin=False) + frame(TEXT, b"x"), _1002, 2),
    Violation("a close of one byte", lambda _: frame(CLOSE, b"x"), _1002),
    Violation("a code that none may send", lambda dice: _close(dice.choice(NO_CODES)), _closing(PROTOCOL, *NO_CODES)),
    Violation("a close with invalid UTF-8", lambda _: _close(1000, b"\xff"), _closing(PROTOCOL, INVALID)),
    Violation("a close with no code", lambda _: frame(CLOSE), _closing(1000, 1005, 1006)),
    Violation("a close", lambda _: _close(1000, b"bye"), _closing(1000)),
    Violation("a long close", lambda _: _close(1000, b"x" * 130), _1002),
    Violation("what is no frame", lambda dice: dice.randbytes(64) + b"\xff" * 64, _ANY),
]  # fmt: skip
