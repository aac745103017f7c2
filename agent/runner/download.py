"""Bytes from a presigned URL: ranges, resumed only where the object is provably the same."""

from __future__ import annotations

import re
from collections.abc import Callable

import urllib3
from urllib3.exceptions import HTTPError

from agent.control_plane import retry_after
from agent.failures import Failure, Refused, Unreachable
from agent.runner.part import CHUNK, Part, Resolved
from agent.wire import CONNECT_SECONDS, reason

READ_SECONDS = 30.0


class UrlRefused(Failure):
    """The store no longer takes this URL: expired, most of the time. A new one is asked for."""

    def __init__(self, status: int) -> None:
        super().__init__("URL_REFUSED", f"the store refused the download URL with HTTP {status}")


def pull(store: urllib3.PoolManager, resolved: Resolved, part: Part, check: Callable[[], None]) -> None:
    """Appends to the part until it is whole. `check` is called between chunks, and may raise.

    Raises UrlRefused, Unreachable and Refused (429, 5xx) for what passes; Failure STORE_REFUSED, OBJECT_TOO_LARGE else.
    """
    begin = part.size
    headers = {"Accept-Encoding": "identity"}
    if begin:
        if part.etag is None:
            part.restart()  # nothing promises that the rest would belong to it
            begin = 0
        else:
            headers |= {"Range": f"bytes={begin}-", "If-Range": part.etag}
    limits = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
    try:
        got = store.request(
            "GET", resolved.url, headers=headers, timeout=limits, redirect=False, preload_content=False
        )
        try:
            _judge(got, resolved, part, begin)
            while chunk := got.read1(CHUNK):
                check()
                if part.size_after(len(chunk)) > resolved.size:
                    raise Failure("OBJECT_TOO_LARGE", f"the store sent more than the {resolved.size} bytes of release"
                                  f" {resolved.release_id}", exit_code=3)  # fmt: skip
                part.append(chunk)
        finally:
            part.close_file()
            got.close()
    except HTTPError as error:
        raise Unreachable(f"the store broke off after {part.size} bytes: {reason(error)}") from error
    if part.size < resolved.size:
        raise Unreachable(f"the store ended after {part.size} of {resolved.size} bytes")


def _judge(got: urllib3.BaseHTTPResponse, resolved: Resolved, part: Part, begin: int) -> None:
    """Makes the part ready for the body of this answer, or raises what its status means."""
    status, headers = got.status, {name.lower(): value for name, value in got.headers.items()}
    if status == 206 and begin:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("content-range", ""))
        if found and (int(found[1]), int(found[2])) == (begin, resolved.size):
            return
        part.restart()
        raise Unreachable("the store answered with another range than was asked for")
    if status == 200:
        if begin:
            part.restart()  # another object by now, or a store without ranges: from the beginning
        part.learn_etag(resolved, headers.get("etag"))
        return
    if status == 416:
        part.restart()
        raise Unreachable("the store has no such range")
    if status in (400, 401, 403, 404, 410):
        raise UrlRefused(status)
    if status in (408, 429) or status >= 500:
        words = f"the store answered with HTTP {status}"
        raise Refused(status, f"STORE_HTTP_{status}", words, retry_after=retry_after(headers))
    raise Failure("STORE_REFUSED", f"the store answered with HTTP {status}, which no download can use")
