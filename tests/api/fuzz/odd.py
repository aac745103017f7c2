"""What clients should not send: values, literals, bodies, types, paths, queries, headers."""

from __future__ import annotations

from typing import Any

MEBIBYTE = 1024 * 1024
DEEP = 10_000
JSON_TYPE = "application/json"

ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 1.5, -0.0, 2**31, 2**53, 2**63, 2**64, 10**400, "", " ", "\t\n", "a" * 201,
    "x" * 100_000, "\x00", "a\x00b", "\x1f", "\u202e\u200b", "é" * 200, "😀" * 100, "'; --", '"', "\\", "%", "_%_",
    "{}", "[object]", "NaN", "null", "0", "-1", "9" * 5000, "٣", "1e9", "1.0", "2026-11-20T20:00:00Z",
    "9999-12-31T23:59:59.999999999-23:59", "0001-01-01T00:00:00+23:59", "2026-02-30T00:00:00Z",
    "00000000-0000-0000-0000-000000000000", "{00000000-0000-0000-0000-000000000000}", "0" * 32, [], {}, [[]], [None],
    [{}], {"": ""}, {"a": None}, ["a"] * 1000, {"password": "x"}, {"a": {"api_key": "x"}}, {"secret_ref": "x"},
    {"a\x00": "b"}, {str(n): n for n in range(500)},
]  # fmt: skip
ODD_JSON: list[bytes] = [
    b"", b" ", b"{", b"}", b"nul", b"null", b"true", b"0", b'""', b"[]", b"[{}]", b"{'a': 1}", b'{"a": 1,}', b"// {}",
    b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b'{"a": "\xff"}', b'{"a": "\xed\xa0\x80"}', b'{"a": "\xc0\x80"}',
    b"\x00", b'{"a": "\x00"}', b"\x1f\x8b\x08\x00", b"<xml/>", b"a=1&b=2", b"--x\r\n", b"{}{}", b"{} x", b"NaN",
    b"Infinity", b"[" * DEEP + b"]" * DEEP, b'{"a":' * DEEP + b"1" + b"}" * DEEP, b"[" * DEEP, b"1" * 5000,
    b"-" * 100, b"1e999999",
]  # fmt: skip
# In the place of a field's value, as no encoder would write it.
ODD_LITERALS: list[bytes] = [
    b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"1" * 5000, b"1e5000", b"0.1e-400", b"01", b"+1", b".5",
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u0000"', b'"\\x41"', b'"\xff"', b'"\xed\xa0\x80"', b'"\x01"', b'"',
    b"[" * DEEP + b"]" * DEEP, b'{"a":' * 63 + b"1" + b"}" * 63, b'{"a":' * 65 + b"1" + b"}" * 65, b"", b"undefined",
    b'{"a": 1, "a": 2}', b'{"\\ud800": 1}', b'{"\\u0000": 1}',
]  # fmt: skip
ODD_TYPES = [
    "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x",
    "application/json; charset=utf-16", "application/json; charset=nonsense", "application/json;;;",
    "APPLICATION/JSON", "application/problem+json", "application/merge-patch+json", "application/octet-stream",
    "json", "*/*", ";", "a/b/c", "application/json; charset=\xff", "application/json, text/plain",
    "application/" + "j" * 5000,
]  # fmt: skip
ODD_SEGMENTS = [
    "%00", "a%00b", "%ff", "%ed%a0%80", "%c0%af", "..", "%2e%2e", "%2f", "a%2fb", "%5c", ".", "%20", "%0d%0a",
    "a" * 8000, "%F0%9F%98%80", "%D9%A3", "-1", "0", "9223372036854775807", "9223372036854775808", "9" * 400, "1.0",
    "1e3", "+1", "%", "%zz", "*", "null", "None", "'", ";", "?", "00000000000000000000000000000000", "next",
    "bindings", "allowances", "7B00000000-0000-0000-0000-000000000000%7D",
    "urn:uuid:00000000-0000-0000-0000-000000000000",
]  # fmt: skip
ODD_QUERIES = [
    "page=0", "page=-1", "page=1&page=2", "page=100000", "page=100001", "page=1e3", "page=%D9%A3", "page=NaN",
    "page=1.0", "page=%201", "page=1_0", "page=" + "9" * 5000, "limit=0", "limit=201", "limit=-0",
    "limit=9223372036854775808", "limit=", "sort=id;drop", "sort=", "sort=tenant_id", "order=ASC", "order=desc%00",
    "q=%00", "q=%25%5F%5C", "q=%ff", "q=%ed%a0%80", "q=" + "a" * 300, "q=", "q=%5C", "status=%00", "status=nope",
    "since=yesterday", "since=9999-12-31T23:59:59-23:59", "until=0001-01-01T00:00:00%2B23:59",
    "since=2026-11-20T20:00:00Z&until=2026-11-20T19:00:00Z", "subject=%00", "actor=%ff", "%00=1", "%ff=1", "=", "&&&",
    "a[]=1", "unknown=1", "agent_id=%00", "agent_id=", "user_id=" + "u" * 201, "scope_type=no", "timeout_ms=0",
    "timeout_ms=1e3", "timeout_ms=60001", "last_event_id=1", "last_event_id=0-0", "last_event_id=1-1-1",
    "last_event_id=9223372036854775807-9223372036854775807", "last_event_id=9999999999999999999-0", "command_id=x",
    "last_event_id=%D9%A3-%D9%A3", "token=%00", "request_id=" + "r" * 5000, "password=x", "params=x",
]  # fmt: skip
ODD_HEADERS: list[tuple[str, str]] = [
    ("Idempotency-Key", ""), ("Idempotency-Key", "k" * 255), ("Idempotency-Key", "k" * 256),
    ("Idempotency-Key", "\xff\xfe"), ("Idempotency-Key", "\x7f"), ("Idempotency-Key", " "),
    ("Idempotency-Key", "same"), ("Idempotency-Key", "\xa0"), ("X-Request-ID", ""), ("X-Request-ID", "a b"),
    ("X-Request-ID", "x" * 9000), ("X-Request-ID", "\xe9"), ("X-Request-ID", "ok"), ("X-Forwarded-For", ""),
    ("X-Forwarded-For", ",,,"), ("X-Forwarded-For", "1.2.3.4, 5.6.7.8"), ("X-Forwarded-For", "\xff" * 99),
    ("X-Forwarded-For", "a" * 5000), ("X-Forwarded-Host", "evil.test"), ("X-Forwarded-Proto", "gopher"),
    ("Forwarded", "for=_x"), ("Authorization", ""), ("Authorization", "Bearer"), ("Authorization", "Bearer "),
    ("Authorization", "Basic YTpi"), ("Authorization", "Basic \xff"), ("Authorization", "Basic " + "%" * 50),
    ("Authorization", "bearer a.b.c"), ("Authorization", "Bearer \xff\xfe"),
    ("Authorization", "Bearer " + "a" * 20_000), ("Authorization", "Bearer mk_"),
    ("Authorization", "Bearer ma_" + "A" * 43 + ".x"), ("Authorization", "Bearer mk_" + "A" * 43),
    ("Authorization", "Digest a=b"), ("Authorization", "Bearer eyJhbGciOiJub25lIn0.e30."),
    ("Authorization", "Bearer mk_\xe9.x"), ("Authorization", "a=b,=,"),
    ("Authorization", "Bearer mk_" + "=" * 43 + ".x"), ("Authorization", 'Digest username="a'),
    ("Authorization", "Bearer a=b"), ("Accept", "application/problem+json"),
    ("Accept", "application/problem+json;q=0"), ("Accept", ";q=abc"), ("Accept", "\xff"), ("Accept", "a/b;q=1e999"),
    ("Accept", "application/problem+json;q=nan"), ("X-Correlation-ID", "a\xffb"), ("traceparent", "00-0"),
    ("Last-Event-ID", "x"), ("Last-Event-ID", "0-0"), ("Last-Event-ID", "\xff"), ("If-None-Match", '"x'),
    ("If-None-Match", "*"), ("Range", "bytes=0-0"), ("If-Modified-Since", "yesterday"), ("Host", "evil.test"),
    ("Host", "["), ("Host", "a b"), ("Host", ""), ("Host", "\xff"), ("Host", "localhost:99999"),
    ("User-Agent", "u" * 9000), ("User-Agent", "\xff"), ("Cookie", "a=\xff;;=;"), ("Content-Encoding", "gzip"),
    ("Expect", "100-continue"), ("Upgrade", "websocket"), ("Content-MD5", "x"), ("TE", "x"),
    ("Content-Length", "abc"), ("Content-Length", "-1"), ("Content-Length", ""), ("Content-Length", "9" * 30),
]  # fmt: skip
METHODS = [
    "HEAD", "OPTIONS", "GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FROB", "get", "CONNECT",
]  # fmt: skip
