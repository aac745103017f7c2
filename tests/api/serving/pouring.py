"""A thousand frames of several threads, each with its own checksum, up to the size that an agent's frame may have."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

FRAMES, THREADS = 1000, 8
LIMIT = 256 * 1024
_HEAD = 64 + 1 + 4 + 1  # SHA-256, number


def size_of(number: int) -> int:
    """Characters of a frame: every twentieth as large as can be, the others of every order of magnitude."""
    if number % 20 == 0:
        return LIMIT
    return max(_HEAD, round(2 ** random.Random(number).uniform(6, 18)))


def frame(number: int) -> str:
    filler = chr(ord("a") + number % 26) * (size_of(number) - _HEAD)
    rest = f"{number:04d} {filler}"
    return f"{hashlib.sha256(rest.encode()).hexdigest()} {rest}"


def pour(send: Callable[[str], None]) -> list[threading.Thread]:
    """Threads that send all frames between them, begun."""

    def sender(first: int) -> None:
        for number in range(first, FRAMES, THREADS):
            send(frame(number))

    threads = [threading.Thread(target=sender, args=(first,), daemon=True) for first in range(THREADS)]
    for thread in threads:
        thread.start()
    return threads


@dataclass
class Tally:
    """What has arrived. `order` is each sender's numbers as they came."""

    taken: int = 0
    seen: set[int] = field(default_factory=set)
    order: dict[int, list[int]] = field(default_factory=dict)

    def take(self, message: str) -> None:
        self.taken += 1
        digest, _, rest = message.partition(" ")
        if hashlib.sha256(rest.encode()).hexdigest() == digest:
            number = int(rest[:4])
            if len(message) == size_of(number):
                self.seen.add(number)
                self.order.setdefault(number % THREADS, []).append(number)

    @property
    def whole(self) -> int:
        return len(self.seen)

    @property
    def complete(self) -> bool:
        return self.taken == FRAMES

    @property
    def in_order(self) -> bool:
        return all(numbers == sorted(numbers) for numbers in self.order.values())
