"""Reads HTTP/1.1 answers off a connection's bytes."""

from __future__ import annotations

from dataclasses import dataclass


class NotHttp(Exception):
    """The bytes are no answer that ends where it says it does."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `kept` says whether the connection may carry another request."""

    status: int
    body: bytes
    kept: bool


def parse(received: bytearray) -> Answer | None:
    """The answer that `received` holds, or None while there is more to come. Raises NotHttp."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = bytes(received[: end + 2]).lower()
    if not head.startswith(b"http/1.1 ") or not head[9:12].isdigit():
        raise NotHttp(bytes(received[:60]))
    status, kept = int(head[9:12]), b"\r\nconnection: close\r\n" not in head
    begin = end + 4
    if status in (204, 304):
        return Answer(status, b"", kept)
    length = _header(head, b"content-length")
    if length is not None:
        if len(received) < begin + int(length):
            return None
        return Answer(status, bytes(received[begin : begin + int(length)]), kept)
    if _header(head, b"transfer-encoding") == b"chunked":
        body = _chunks(received, begin)
        return None if body is None else Answer(status, body, kept)
    raise NotHttp(b"an answer without a length: " + head[:60])


def _header(head: bytes, name: bytes) -> bytes | None:
    at = head.find(b"\r\n" + name + b":")
    return None if at < 0 else head[at + len(name) + 3 : head.index(b"\r\n", at + 2)].strip()


def _chunks(received: bytearray, at: int) -> bytes | None:
    """The body in chunks that begins at `at`; None while its last chunk is missing."""
    body = b""
    while (line := received.find(b"\r\n", at)) >= 0:
        try:
            size = int(received[at:line].split(b";")[0], 16)
        except ValueError:
            raise NotHttp(bytes(received[at : at + 60])) from None
        at = line + 2 + size + 2
        if len(received) < at:
            return None
        if size == 0:
            return body
        body += received[line + 2 : at - 2]
    return None
