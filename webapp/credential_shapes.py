"""What credentials look like in free text: patterns, and what stands in their place. Only webapp.redaction uses them.

Each pattern is linear in the text's length (no open beginning), and finds nothing in its own outcome.
"""

from __future__ import annotations

import re

HIDDEN = "***"

# As in webapp.redaction, but only what stands right before the sign: a pattern with an open beginning would be slow.
_NAME = (
    r"(?:password|passwd|pwd|secret|token|api[_. -]?key|private[_. -]?key|access[_. -]?key(?:[_-]id)?|credentials?"
    r"|x-amz-signature|(?<![a-z])signature|pairing[_-]code|[?&#]code|[?&]totp)"
)
_IS = r"(?:\s*=\s*|%3d)"
# Bare values end at a blank, a quote or `&`: passwords may well hold commas, semicolons and brackets.
_VALUE = r"""(?:(?P<q>\\*["']).*?(?<!\\)(?P=q)|(?:(?!%26)[^&\s"'])+)"""
_CODE = r"(?<![A-Za-z0-9-]){0}{{4}}(?:-{0}{{4}}){{3}}(?![A-Za-z0-9-])"
_POSTGRES_SAYS = r" (?:already exists|conflicts with|is not present|is still referenced)"

_Shape = tuple[re.Pattern[str], str]


def _shape(pattern: str, replacement: str = HIDDEN) -> _Shape:
    return re.compile(pattern), replacement


SHAPES: tuple[_Shape, ...] = (
    # Keys in PEM, also those that are cut off.
    _shape(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"),
    # Headers. Of a scheme that is not known the whole line goes, for it may be in several parts.
    _shape(r"(?i)\b(bearer|basic)((?:\s|%20)+)[A-Za-z0-9._~+/=-]{4,}", rf"\1\2{HIDDEN}"),
    _shape(r"""(?i)(authorization["']?\s*[:=]\s*["']?)(?!(?:bearer|basic)\b)[^\s"'<*][^\r\n"']*""", rf"\1{HIDDEN}"),
    _shape(r"""(?i)((?<![a-z0-9])(?:set-)?cookie["']?: ?["']?)[^\s"'*][^\r\n"']*""", rf"\1{HIDDEN}"),
    _shape(r"(?i)((?<![a-z0-9])x-[a-z-]{0,40}(?:token|key|secret|password): ?)[^\s*]\S*", rf"\1{HIDDEN}"),
    # PASSWORD is what the manual and the refusals of a bad variable write in its place. A user may be left out (Redis).
    _shape(r"(?i)((?<![a-z0-9])[a-z][a-z0-9+.-]{1,30}://[^\s:/?#@\"']*:)(?!PASSWORD@)[^\s/]+@", rf"\1{HIDDEN}@"),
    # name=value in queries, settings and the way Python shows objects; "name": "value" in JSON, also within a string.
    _shape(rf"(?is)({_NAME}{_IS}){_VALUE}", rf"\1\g<q>{HIDDEN}\g<q>"),
    _shape(rf"""(?is)({_NAME}\\*["']\s*:\s*)(?P<q>\\*["']).*?(?:(?<!\\)(?P=q)|\Z)""", rf"\1\g<q>{HIDDEN}\g<q>"),
    _shape(r"(?i)((?:x-amz-(?:credential|security-token))(?:=|%3d))(?:(?!%26)[^&\s\"'])+", rf"\1{HIDDEN}"),
    # Our own: tokens of keys, agents and refreshing; JWTs; a pairing's bundle (`{"v":1,…` in base64url); codes.
    _shape(r"(?<![A-Za-z0-9])(m[akr]_)[A-Za-z0-9_-]{24,}(?:\.[A-Za-z0-9_-]*)?", rf"\1{HIDDEN}"),
    _shape(r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,4}"),
    _shape(r"(?<![A-Za-z0-9])eyJ2Ijox[A-Za-z0-9_-]{16,}={0,2}"),
    _shape(_CODE.format("[0-9A-TV-Z]")),
    # As people may type one; four short words are none, so a digit and a letter must be among them.
    _shape(r"(?=[a-zA-Z-]{0,18}[0-9])(?=[0-9-]{0,18}[a-zA-Z])" + _CODE.format("[0-9A-TV-Za-tv-z]")),
    # What is kept of passwords can be guessed at.
    _shape(r"\$argon2(?:id|i|d)\$[^\s\"']+|SCRAM-SHA-256\$[^\s\"']+"),
    # PostgreSQL repeats a row's values in its errors; the constraint's name says as much to whoever reads a log.
    _shape(rf"(?is)\b(key \([^\n=]{{1,300}}\)=\().*?(\)(?={_POSTGRES_SAYS})|\)\.?(?=\s*\Z|\n)|\Z)", rf"\1{HIDDEN}\2"),
    _shape(r"(?s)(Failing row contains \()(?:.*\)\.(?=\s*\n|\s*\Z)|.*)", rf"\1{HIDDEN})."),
    _shape(r"(?s)(invalid input (?:syntax for|value for enum) [^:\n]{1,60}: \")(?!\*{3}\").*\"", rf'\1{HIDDEN}"'),
    _shape(r"\b(JSON data, line \d+: |LINE \d+: |(?:portal|statement) with parameters: )[^\n]+", rf"\1{HIDDEN}"),
)  # fmt: skip

# What no shape can be found in, and most of what is logged and audited is: ids, codes of errors, short words. Asking
# this costs a twentieth of asking all shapes. (The shortest of those without a blank, sign or quote has 12 characters.)
PLAIN = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[A-Za-z0-9._-]{0,11}|[A-Z_]{1,60}|[0-9]{1,20}"
)
