"""Where markers are looked for, where which of them may stand, and the looking."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import unquote_plus

import psycopg2
from psycopg2 import sql

from tests.api.canary.markers import PATTERN, SECRET, Markers

# Of every kind that is no secret: an answer may repeat to a client what it sent.
EVERY_KIND = ("answer:*",)
# kind → the places it may stand in. What is stored on purpose, column by column; nothing but ids goes into a log.
ALLOWED: dict[str, tuple[str, ...]] = {
    # of every request. gunicorn writes paths at DEBUG, never a query
    "request_id": ("log:*", "table:audit_events.request_id"),
    "correlation_id": ("log:*",),
    # a setting's, too: there it is a name
    "path": ("log:api", "log:sockets", "table:records.body"),
    "user_agent": ("table:auth_sessions.user_agent",),
    # people
    "email": (
        "table:auth_users.email", "table:auth_sessions.email", "table:tenant_memberships.email",
        "table:procrastinate_jobs.args",  # until the letter is sent
    ),
    # an id, which stands in paths
    "user_id": (
        "log:api", "table:licensing_vms.user_id", "table:licensing_entitlements.user_id", "table:audit_events.subject",
        "table:tenant_memberships.user_id",
    ),
    # machines, leases, artifacts
    "vm_uuid": ("table:licensing_vms.vm_uuid", "table:audit_events.details"),
    "vm_name": ("table:licensing_vms.vm_name",),
    "project_id": ("table:licensing_vms.project_id",),
    "runner_id": ("table:licensing_leases.runner_id",),
    "module": ("table:licensing_entitlements.module", "table:audit_events.details"),
    "platform": ("table:audit_events.details",),
    "channel": ("table:audit_events.details",),
    "version": ("table:licensing_leases.version", "table:artifact_releases.version", "table:audit_events.details"),
    "object_key": ("table:artifact_releases.object_key", "table:artifact_objects.object_key"),
    "error": ("table:audit_events.details",),
    "reason": ("table:licensing_leases.reason", "table:agents.revoke_reason", "table:audit_events.reason"),
    # agents and commands
    "name": (
        "table:agents.name", "table:auth_keys.name", "table:auth_users.name", "table:projects.name",
        "table:tenants.name", "table:audit_events.details",
    ),
    "description": ("table:projects.description",),
    "scopes": ("table:auth_keys.scopes", "table:audit_events.details"),
    "owner_user_id": ("table:agents.owner_user_id", "table:audit_events.details"),
    "status": ("table:agents.reported_status",),
    "metadata": ("table:licensing_vms.metadata", "table:agents.metadata"),
    "params": ("table:commands.payload",),
    "payload": ("table:commands.payload",),
    "result": ("table:commands.result",),
    "error_message": ("table:commands.error_message",),
    "message": ("table:command_events.message",),
    # records: what a tenant keeps, and what it is looked for by
    "record": ("table:records.body",),
    "id": ("table:records.id",),
    # secrets: what nobody here can read, and what is known of it
    "label": ("table:vaulting_secrets.label",),
    "ciphertext": ("table:vaulting_versions.ciphertext",),
    "nonce": ("table:vaulting_versions.nonce",),
    "key_id": ("table:vaulting_secrets.key_id", "table:vaulting_versions.key_id", "table:audit_events.details"),
    "aad_meta": ("table:vaulting_secrets.aad_meta", "table:vaulting_versions.aad_meta"),
    "field_name": ("table:vaulting_bindings.field_name", "table:audit_events.details"),
    "paths": ("table:vaulting_allowances.path", "table:audit_events.details"),
}
# Columns whose type can hold text.
_TEXTUAL = """
SELECT c.table_schema, c.table_name, c.column_name, c.data_type FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE t.table_type = 'BASE TABLE' AND c.table_schema NOT IN ('pg_catalog', 'information_schema')
AND c.data_type NOT IN ('uuid', 'boolean', 'smallint', 'integer', 'bigint', 'timestamp with time zone', 'date')
ORDER BY 1, 2, 3
"""
_RUN = re.compile(r"[A-Za-z0-9+/_-]{24,}")


@dataclass(frozen=True)
class Source:
    """A place and all that stands there."""

    place: str
    text: str


@dataclass(frozen=True)
class Hit:
    """A marker, or a real secret, in a place where it may not stand."""

    place: str
    what: str
    around: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}\n    …{self.around}…"


def columns(admin: str, tables: list[str] | None = None) -> Iterator[Source]:
    """Every text, JSON, array and bytea column of every table, out of the catalogue, past row level security."""
    with closing(psycopg2.connect(admin)) as connection, connection.cursor() as cursor:
        cursor.execute(_TEXTUAL)
        for schema, table, column, kind in cursor.fetchall():
            if tables is not None and table not in tables:
                continue
            shown = "encode({}, 'escape')" if kind == "bytea" else "{}::text"
            query = f"SELECT string_agg({shown}, E'\\n') FROM {{}}.{{}}"
            cursor.execute(sql.SQL(query).format(*map(sql.Identifier, (column, schema, table))))
            [(text,)] = cursor.fetchall()
            yield Source(f"table:{table}.{column}", text or "")


def may_stand(kind: str, place: str, allowed: dict[str, tuple[str, ...]]) -> bool:
    if kind == SECRET:
        return False
    return any(fnmatchcase(place, pattern) for pattern in (*EVERY_KIND, *allowed.get(kind, ())))


def search(source: Source, markers: Markers, allowed: dict[str, tuple[str, ...]] | None = None) -> list[Hit]:
    """What stands in a source and may not. Looks also at what the text says when it is decoded."""
    found: dict[str, Hit] = {}
    for text in _readings(source.text):
        for match in PATTERN.finditer(text.lower()):
            kind, where = markers.made.get(match.group(), ("unknown", "nobody knows where"))
            if not may_stand(kind, source.place, ALLOWED if allowed is None else allowed):
                found.setdefault(match.group(), Hit(source.place, f"{kind} of {where}", _around(text, match.start())))
        # A success gives its secrets out on purpose, but the audit log's is a list of what happened.
        if not source.place.startswith("answer:2") or source.place.endswith("/audit"):
            for value, what in markers.real.items():
                if (at := text.find(value)) >= 0:
                    found.setdefault(value, Hit(source.place, what, _around(text, at)))
    return list(found.values())


def _readings(text: str) -> Iterator[str]:
    yield text
    if "%" in text:
        yield unquote_plus(text)
    yield "\n".join(_decoded(text))


def _decoded(text: str) -> Iterator[str]:
    """What is in base 64, whatever stands right before it."""
    for run in _RUN.findall(text):
        plain = run.translate(str.maketrans("-_", "+/"))
        for start in range(4):
            part = plain[start : start + (len(plain) - start) // 4 * 4]
            try:
                yield base64.b64decode(part).decode("ascii", errors="ignore")
            except binascii.Error:
                continue


def _around(text: str, at: int) -> str:
    return " ".join(text[max(0, at - 160) : at + 80].split())
