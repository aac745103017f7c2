"""The structure of a JSON file of any size: where each value of interest begins and ends, without loading the file.

A record is cut out by its braces and not by a parser that goes through the whole file, so that one that is wrong inside
(bytes that are no UTF-8, a number that is none) ends where its last brace is, and the next is read as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from webapp.cutover.reader import Reader
from webapp.cutover.sources import Item, SourceUnreadable

_AT_ONCE = 500


def name_of(key: bytes) -> str:
    """A member's name. What is no UTF-8 in it becomes lone surrogates, which `encodable` tells from a good name."""
    if b"\\" not in key:
        return key.decode("utf-8", "surrogateescape")
    try:
        loaded: str = orjson.loads(b'"' + key + b'"')
    except orjson.JSONDecodeError:
        return key.decode("utf-8", "surrogateescape")
    return loaded


def encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def walk(reader: Reader, *, array: bool = False, inside: bool = False) -> Iterator[Item]:
    """Each record of the collection that comes next, or that the reader is `inside` of, at the beginning of a member
    (of an object only). What RTDB has made of holes in an array is passed over.

    Raises SourceTruncated, SourceUnreadable.
    """
    number = 0
    going = inside or _opened(reader, array)
    while going:
        if not array:
            for key, at, raw, value in reader.plain(_AT_ONCE):
                yield Item(name_of(key), raw, value, at)
        reader.peek()
        at = reader.at
        name = str(number) if array else name_of(reader.key())
        number += 1
        _, _, found, value = reader.value()
        if found != b"null":
            yield Item(name, found, value, at)
        going = _goes_on(reader, array)


def blocks(reader: Reader, *, inside: bool = False) -> Iterator[tuple[int, dict[str, Any]] | list[Item]]:
    """What `walk` gives of an object, many records at once: as one value with its position where they are ordinary,
    else one by one."""
    going = inside or _opened(reader, False)
    while going:
        while (block := reader.block()) is not None:
            yield block
        # Not again for a while: something is in the next BLOCK bytes that does not go that way, or they are not here.
        items = [Item(name_of(key), raw, value, at) for key, at, raw, value in reader.plain(_AT_ONCE)]
        reader.peek()
        at = reader.at
        name = name_of(reader.key())
        _, _, found, value = reader.value()
        if found != b"null":
            items.append(Item(name, found, value, at))
        going = _goes_on(reader, False)
        yield items


def members(reader: Reader) -> Iterator[str]:
    """The names in the object, or the numbers in the array, that comes next.

    Whoever iterates takes each value by `reader.value()` or `reader.skip()`, or iterates over what is in it, before
    going on. Raises SourceTruncated, SourceUnreadable.
    """
    array = reader.peek() == 0x5B
    number = 0
    going = _opened(reader, array)
    while going:
        reader.peek()
        yield str(number) if array else name_of(reader.key())
        number += 1
        going = _goes_on(reader, array)


def _opened(reader: Reader, array: bool) -> bool:
    """Enters an object or an array; whether anything is in it."""
    reader.take()
    if reader.peek() != (0x5D if array else 0x7D):
        return True
    reader.take()
    return False


def _goes_on(reader: Reader, array: bool) -> bool:
    """Passes what is behind a member; whether another one follows."""
    byte = reader.take()
    if byte == (0x5D if array else 0x7D):
        return False
    if byte != 0x2C:
        raise SourceUnreadable(f"Byte {reader.at - 1}: a comma or the end of what is around should be here.")
    return True
