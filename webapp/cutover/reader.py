"""A window on a JSON file that moves forward and cuts out one value after another, whatever is in them.

Fast where records are objects: the next `}` after which as many are closed as opened is a guess at the end, and a JSON
object that parses as a whole ends where it ends (no object is the beginning of another). Only where the guess fails, or
the value is no object, are strings and braces walked one by one.
"""

from __future__ import annotations

import re
from typing import IO, Any

import orjson

from webapp.cutover.meaning import has_long_number
from webapp.cutover.sources import SourceTruncated, SourceUnreadable

CHUNK = 1 << 20
BLOCK = 48 * 1024
# Guesses before walking: a record with more objects inside is cheaper to walk once than to count again and again.
_GUESSES = 64
_SPACE = b" \t\r\n"
_KEY = re.compile(rb'[ \t\r\n]*"([^"\\]*(?:\\.[^"\\]*)*)"[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_OBJECT_KEY = re.compile(rb'[ \t\r\n]*"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*(?={)')
_OUTSIDE = re.compile(rb'["{}\[\]]')
_STRING_END = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SCALAR_END = re.compile(rb"[ \t\r\n,{}\[\]\"]")
# RTDB allows 768 bytes in a key; a name that is longer than this is no name.
_LONGEST_KEY = 64 * 1024

Value = tuple[int, int, bytes | None, Any]


class Reader:
    """A window on the file that moves forward only. `at` is the position in the file of the next byte."""

    def __init__(self, file: IO[bytes], at: int, *, largest: int, chunk: int = CHUNK) -> None:
        self._file, self._chunk, self._largest = file, chunk, largest
        if file.seekable():
            file.seek(at)
        self._buffer, self._pos, self._base = b"", 0, at

    @property
    def at(self) -> int:
        return self._base + self._pos

    def peek(self) -> int:
        """The next byte that is no white space. Raises SourceTruncated."""
        while True:
            buffer, pos = self._buffer, self._pos
            while pos < len(buffer):
                byte = buffer[pos]
                if byte not in _SPACE:
                    self._pos = pos
                    return byte
                pos += 1
            self._pos = pos
            self._more("a value")

    def take(self) -> int:
        byte = self.peek()
        self._pos += 1
        return byte

    def nothing_left(self) -> bool:
        """Only white space until the end of the file."""
        try:
            self.peek()
        except SourceTruncated:
            return True
        return False

    def key(self) -> bytes:
        """A member's name as it is written, without its quotes; the colon is passed. Raises SourceUnreadable."""
        quoted = self.peek() == 0x22
        while True:
            found = _KEY.match(self._buffer, self._pos)
            # A match that ends with the window may go on with white space beyond it, which `value` skips.
            if found:
                self._pos = found.end()
                return found[1]
            if not quoted or len(self._buffer) - self._pos > _LONGEST_KEY:
                raise SourceUnreadable(f"Byte {self.at}: the name of a member should be here, in quotes, and a colon.")
            self._more("the name of a member")

    def value(self) -> Value:
        """The next value: begin, end (positions in the file), its bytes (None where it is too large), and what an
        object says where it could be read. Raises SourceTruncated, SourceUnreadable."""
        if self.peek() == 0x7B:
            guessed = self._guess()
            if guessed:
                return guessed
        return self._walk(keep=True)

    def skip(self) -> int:
        """Passes the next value; its length in bytes."""
        begin, end, _, _ = self._walk(keep=False)
        return end - begin

    def block(self) -> tuple[int, dict[str, Any]] | None:
        """The next members, about BLOCK bytes of them, as one object, and where they begin; None where that cannot be
        had, or would not say all that matters: such members are for `plain`, `key` and `value`.

        They end at a `}` with a comma after it, by which as many are closed as opened; and if what is before it parses
        as the members of an object, they end there. Of a name that stands twice the last counts.
        """
        buffer, pos = self._buffer, self._pos
        end = min(len(buffer), pos + BLOCK)
        for _ in range(_GUESSES):
            end = buffer.rfind(b"},", pos, end) + 1
            if not end:
                return None
            members = buffer[pos:end]
            if members.count(b"{") == members.count(b"}"):
                if b"\\u0000" in members or b'"_exact"' in members or has_long_number(members):
                    return None
                try:
                    found = orjson.loads(b"{" + members + b"}")
                except orjson.JSONDecodeError:
                    return None
                self._pos = end + 1
                return self._base + pos, found
        return None

    def plain(self, limit: int) -> list[tuple[bytes, int, bytes, Any]]:
        """The next members at most, as long as each is an object that can be read, with a comma after it: its name,
        its position, its value's bytes, what they say. The rest is for `key` and `value`, a member at a time."""
        found: list[tuple[bytes, int, bytes, Any]] = []
        buffer, pos, base = self._buffer, self._pos, self._base
        match, find, count, loads = _OBJECT_KEY.match, buffer.find, buffer.count, orjson.loads
        try:
            while len(found) < limit:
                named = match(buffer, pos)
                if named is None:
                    break
                begin = named.end()
                close = find(b"}", begin) + 1
                opened = count(b"{", begin, close) - 1
                while opened > 0 < close:
                    end, close = close, find(b"}", close) + 1
                    opened += count(b"{", end, close) - 1
                # 0x2C: a comma. A window that ends here is not known to have one.
                if not close or buffer[close] != 0x2C:
                    break
                raw = buffer[begin:close]
                found.append((named[1], base + pos, raw, loads(raw)))
                pos = close + 1
        except (orjson.JSONDecodeError, IndexError):
            pass
        self._pos = pos
        return found

    def _guess(self) -> Value | None:
        buffer, pos = self._buffer, self._pos
        end = pos
        opened = 0
        for _ in range(_GUESSES):
            close = buffer.find(b"}", end)
            if close < 0:
                if len(buffer) - pos > self._chunk or not self._more_or_ended():
                    return None
                buffer, end, opened, pos = self._buffer, self._pos, 0, self._pos
                continue
            opened += buffer.count(b"{", end, close) - 1
            end = close + 1
            if opened:
                continue
            raw = buffer[pos:end]
            try:
                value = orjson.loads(raw)
            except orjson.JSONDecodeError:
                return None
            self._pos = end
            return self._base + pos, self._base + end, raw, value
        return None

    def _walk(self, *, keep: bool) -> Value:
        """A value of any kind, by its strings and braces. What is larger than the limit is passed and not kept."""
        first = self.peek()
        begin = self.at
        kept: list[bytes] | None = [] if keep else None
        size = depth = 0
        inside = False
        while True:
            start = self._pos
            ended, depth, inside = self._step(first, depth, inside)
            size += self._pos - start
            if kept is not None:
                kept.append(self._buffer[start : self._pos])
                if size > self._largest:
                    kept = None
            if ended:
                return begin, self.at, None if kept is None else b"".join(kept), None
            if not self._more_or_ended():
                if first not in b'{["' and size:  # a number or a word at the end of the file
                    return begin, self.at, None if kept is None else b"".join(kept), None
                end = self._base + len(self._buffer)
                raise SourceTruncated(f"The file ends at byte {end}, within the value that begins at byte {begin}.")

    def _step(self, first: int, depth: int, inside: bool) -> tuple[bool, int, bool]:
        """As far as the window goes: whether the value ended, how deep it is, whether within a string."""
        buffer, pos = self._buffer, self._pos
        if first not in b'{["':
            found = _SCALAR_END.search(buffer, pos)
            self._pos = found.start() if found else len(buffer)
            return found is not None, 0, False
        while True:
            if inside:
                closed = _STRING_END.match(buffer, pos)
                if not closed:
                    # An escape must not be cut in two: all up to the last whole character of the string.
                    self._pos = len(buffer) - _trailing_backslashes(buffer, pos) % 2
                    return False, depth, True
                inside, pos = False, closed.end()
                if not depth:
                    self._pos = pos
                    return True, 0, False
            token = _OUTSIDE.search(buffer, pos)
            if not token:
                self._pos = len(buffer)
                return False, depth, False
            pos = token.end()
            byte = buffer[pos - 1]
            if byte == 0x22:
                inside = True
            elif byte in b"{[":
                depth += 1
            else:
                depth -= 1
                if depth <= 0:
                    self._pos = pos
                    return True, 0, False

    def _more(self, wanted: str) -> None:
        if not self._more_or_ended():
            end = self._base + len(self._buffer)
            raise SourceTruncated(f"The file ends at byte {end}, where {wanted} should go on.")

    def _more_or_ended(self) -> bool:
        added = self._file.read(self._chunk)
        if not added:
            return False
        self._buffer, self._base, self._pos = self._buffer[self._pos :] + added, self._base + self._pos, 0
        return True


def _trailing_backslashes(buffer: bytes, pos: int) -> int:
    return len(buffer) - max(pos, len(buffer[pos:].rstrip(b"\\")) + pos)
