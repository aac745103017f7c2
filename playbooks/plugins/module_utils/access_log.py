"""Counts, in Caddy's own access log, what was answered since a moment and what the server failed to answer.

Written for the end of a release: a minute at 500 requests a second is 30,000 lines or 45 MB, most of it in files that
Caddy has rolled (`access-<time>-<why>.json`, soon `.json.gz`). So nothing is parsed that need not be: the beginning is
found by halving, two fields are cut out of each line, and only failures are read as JSON.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

CURRENT = "access.json"
ROLLED = ("access-*.json", "access-*.json.gz")
EXAMPLES = 5
# A client that went away is no failure of the server, and got no answer either.
CLIENT_GONE = 499
# Quotes within a JSON string are escaped, so neither key can be forged by what a client sends.
_TIME = re.compile(rb'"ts":([0-9.]+)')
_STATUS = re.compile(rb'"status":([0-9]+)')
_PROBE = b'"User-Agent":["moorage-probe"]'
# Requests that end together take the file's lock in any order.
_DISORDER_SECONDS = 1.0
# Where halving stops and reading begins.
_NEAR_BYTES = 64 * 1024


def _time(line: bytes) -> float | None:
    """When the request of a line ended, in seconds since 1970; None for what is no whole line."""
    found = _TIME.search(line, 0, 200)
    return float(found.group(1)) if found else None


def _beginning(file: IO[bytes], size: int, since: float) -> int:
    """A position before which no line is as young as `since`; it may lie within a line."""
    low, high = 0, size
    while high - low > _NEAR_BYTES:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        moment = _time(file.readline())
        if moment is not None and moment < since:
            low = middle
        else:
            high = middle
    return low


def _lines(file: IO[bytes], since: float) -> Iterator[bytes]:
    """Lines of one uncompressed file, from a little before `since` on."""
    start = _beginning(file, os.fstat(file.fileno()).st_size, since - _DISORDER_SECONDS)
    file.seek(start)
    if start:
        file.readline()
    yield from file


def _every_line(folder: Path, since: float) -> Iterator[bytes]:
    """Lines of the current file and of those rolled since, each file once."""
    with ExitStack() as opened:
        seen: set[tuple[int, int]] = set()
        # The current file first: if Caddy rolls it now, it is met again under its new name, and known.
        paths = [folder / CURRENT]
        paths += sorted(path for form in ROLLED for path in folder.glob(form))
        for path in paths:
            # Caddy compresses beside the file and removes it then: one of the two is enough.
            if path.suffix == ".gz" and path.with_suffix("").exists():
                continue
            try:
                file = opened.enter_context(path.open("rb"))
            except FileNotFoundError:
                continue
            status = os.fstat(file.fileno())
            key = (status.st_dev, status.st_ino)
            if key in seen or status.st_mtime < since:
                continue
            seen.add(key)
            if path.suffix == ".gz":
                yield from _unpacked(file)
            else:
                yield from _lines(file, since)


def _unpacked(file: IO[bytes]) -> Iterator[bytes]:
    try:
        yield from gzip.GzipFile(fileobj=file)
    except (EOFError, OSError):  # still being written: what came out so far was counted
        return


def tally(lines: Iterable[bytes], since: float) -> dict[str, Any]:
    """Count the lines of requests that ended at `since` or later. Pure.

    Args:
        since: seconds since 1970, as Caddy's `ts`.

    Returns:
        as `count`.
    """
    answered = failed = 0
    examples: list[str] = []
    for line in lines:
        moment = _time(line)
        found = _STATUS.search(line, max(0, line.rfind(b'"status":')))
        if moment is None or moment < since or not found or _PROBE in line:
            continue
        status = int(found.group(1))
        if status >= 500 or status == 0:
            failed += 1
            if len(examples) < EXAMPLES:
                examples.append(describe(line, status))
        elif status != CLIENT_GONE:
            answered += 1
    return {"answered": answered, "failed": failed, "paths": examples}


def describe(line: bytes, status: int) -> str:
    """A failed request for a person: `502 GET api.example.com /a/b`; never its query, which may sign. Pure."""
    try:
        request = json.loads(line)["request"]
        return f"{status} {request['method']} {request['host']} {request['uri'].partition('?')[0]}"
    except (ValueError, KeyError, TypeError):
        return str(status)


def count(folder: Path, since: float) -> dict[str, Any]:
    """What Caddy answered since a moment, as its access log tells; the probes of Moorage itself are left out.

    Args:
        folder: where access.json and the rolled files lie.
        since: seconds since 1970.

    Returns:
        ``{"answered": n, "failed": m, "paths": up to 5 failures}``; failed are answers of 500 and above and requests
        that got none (0). A request that its client gave up (499) is neither. No log is no request.

    Raises:
        PermissionError: the log cannot be read.
    """
    return tally(_every_line(folder, since), since)
